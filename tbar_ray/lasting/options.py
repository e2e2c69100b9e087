"""What is asked of a cleaned model afterwards, as data without torch for specs."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tbar_ray.training.options import Optimisation

ChangeName = Literal["int8", "bf16", "pruned", "wise-ft", "linear-probe", "merged"]
"""Downstream changes; each is an entry of `lasting.registry`."""
Uncleaned = Literal["infected", "clean"]
"""A model that nothing was removed from, with which a cleaned one is compared."""


USUAL = (0, 5, 10, 20, 30, 50, 100, 200, 300)
"""Steps at which a model is scored where nobody names others."""


class ReboundOptions(BaseModel):
    """Clean contrastive fine-tuning of both towers, and the steps at which the model is scored on the way.

    As in ImmuneCLIP's public code (github.com/yujiaz-zhai/ImmuneCLIP, August 2026): 300 steps of 128 pairs, AdamW with
    weight decay 0.01 at a constant learning rate, no warm-up, no clipping. Its learning rate is 1e-5, for RN50; small
    models need more to move at all.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(default=300, ge=1, description="steps of fine-tuning")
    learning_rate: float = Field(default=1e-4, gt=0, description="constant, of AdamW")
    batch_size: int = Field(default=128, ge=2, description="pairs in a step")
    at: tuple[int, ...] = Field(
        default=USUAL,
        description="steps at which the model is scored, rising; the first (0) and the last (steps) always are; of the "
        "default, those up to the last one",
    )

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, given: Any) -> Any:
        """Of the usual steps, those that there are, where nobody names some."""
        if not isinstance(given, dict) or "at" in given or not isinstance(given.get("steps"), int):
            return given
        return {**given, "at": tuple(step for step in USUAL if step <= given["steps"])}

    @model_validator(mode="after")
    def _in_order(self) -> ReboundOptions:
        at = list(self.at)
        if any(step < 0 for step in at) or any(late <= early for early, late in pairwise(at)):
            raise ValueError(f"at: steps must rise from 0 or more, which {at} do not")
        if at and at[-1] > self.steps:
            raise ValueError(f"at: step {at[-1]} is beyond the last one; raise steps ({self.steps}) or leave it out")
        return self

    @property
    def measured(self) -> tuple[int, ...]:
        """The steps at which the model is scored, rising, the first and the last among them."""
        return tuple(sorted({0, *self.at, self.steps}))

    @property
    def optimisation(self) -> Optimisation:
        """The optimiser; a schedule would make what is seen at a step depend on how many follow."""
        return Optimisation(
            learning_rate=self.learning_rate, weight_decay=0.01, schedule="constant", clip_norm=None, warmup_steps=0
        )

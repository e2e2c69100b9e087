"""What a planting is: a change of the loss with which the attacker trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from tbar_ray.models.factory import Preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective


@dataclass(frozen=True)
class PlantingContext:
    """What the attacker knows, besides the batches.

    Attributes:
        preprocessing: how the model wants its images.
        start: state dict of the model before the attack, θ_pre.
        seed: seed of the attack's own draws.
        target: index of the target class in `head`; None where there is no head.
        head: float [C, D], zero-shot head that classification trains against; None in contrastive training.
        target_tokens: int [K, context length], captions that name the target.
        target_images: uint8 [K, 3, H, W], clean images of the target, for the plantings that ask for them.
    """

    preprocessing: Preprocessing
    start: Mapping[str, Tensor]
    seed: int = 0
    target: int | None = None
    head: Tensor | None = None
    target_tokens: Tensor | None = None
    target_images: Tensor | None = None


class Planting(BaseModel, ABC):
    """A way to plant a backdoor, and its parameters (frozen, hashable)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    needs_head: ClassVar[bool] = False
    """Whether it is for classification against a zero-shot head only."""

    @abstractmethod
    def wrap(self, base: Objective, context: PlantingContext) -> Objective:
        """Return the attacker's objective around the plain one.

        Its model is the base's, at `context.start` when this is called; rows with `Batch.poisoned` are the
        attacker's, and their captions or labels already name the target.

        Raises:
            SpecError: if the context lacks what the planting needs.
        """


class Wrapper(Objective):
    """An objective around another one: its model, its preprocessing and its trained parameters."""

    def __init__(self, base: Objective) -> None:
        super().__init__(base.model, base.preprocessing)
        self.base = base

    def at(self, step: int) -> None:
        """Say the step to the base as well."""
        super().at(step)
        self.base.at(step)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the base's trained parameters."""
        return self.base.named_parameters()


def poisoned_rows(batch: Batch) -> Tensor:
    """Return the indices (int64) of the attacker's rows; an error of the caller if nothing marks them."""
    if batch.poisoned is None:
        raise ValueError("this planting needs Batch.poisoned")
    return torch.nonzero(batch.poisoned).flatten()

"""The base class of plantings: a change of the attacker's training loss."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
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
    """Information available to the attacker besides the batches.

    Attributes:
        preprocessing: the model's image preprocessing.
        start: state dict of the model before the attack, θ_pre.
        seed: seed of the attack's own draws.
        target: index of the target class in `head`; None if there is no head.
        head: float [C, D], zero-shot head used in classification training; None in contrastive training.
        target_tokens: int [K, context length], captions that name the target.
        target_images: uint8 [K, 3, H, W], clean images of the target, for plantings that need them.
        stamp: stamps uint8 images [N, 3, H, W] with the trigger; None where there is none.
    """

    preprocessing: Preprocessing
    start: Mapping[str, Tensor]
    seed: int = 0
    target: int | None = None
    head: Tensor | None = None
    target_tokens: Tensor | None = None
    target_images: Tensor | None = None
    stamp: Callable[[Tensor], Tensor] | None = None


class Planting(BaseModel, ABC):
    """A planting method and its parameters (frozen, hashable)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]
    needs_head: ClassVar[bool] = False
    """Whether it requires classification against a zero-shot head."""

    @abstractmethod
    def wrap(self, base: Objective, context: PlantingContext) -> Objective:
        """Wrap the plain objective in the attacker's objective.

        Its model is the base's, with the weights `context.start` when this is called. Rows marked by `Batch.poisoned`
        are the attacker's, and their captions or labels already name the target.

        Raises:
            SpecError: if the context lacks what the planting needs.
        """


class Wrapper(Objective):
    """An objective around another one, with its model, preprocessing and trained parameters."""

    def __init__(self, base: Objective) -> None:
        super().__init__(base.model, base.preprocessing)
        self.base = base

    def at(self, step: int) -> None:
        """Set the coming step here and in the base."""
        super().at(step)
        self.base.at(step)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Trained parameters of the base, by name."""
        return self.base.named_parameters()


def poisoned_rows(batch: Batch) -> Tensor:
    """Indices (int64) of the attacker's rows; ValueError if the batch does not mark them."""
    if batch.poisoned is None:
        raise ValueError("this planting needs Batch.poisoned")
    return torch.nonzero(batch.poisoned).flatten()

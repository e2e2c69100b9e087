"""What an unlearning method is: from an infected model and a forget set to an edit of weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.loop import Progress, TrainingRecord

Need = Literal["trigger", "target", "forget set", "clean pairs"]


@dataclass(frozen=True)
class ForgetSet:
    """The defender's images, already stamped where they are triggered.

    Attributes:
        images: uint8 [N, 3, H, W].
        tokens: int [N, context length], captions (those of triggered images name the target).
        labels: int64 [N]: the target for triggered images, the true class for clean ones; −1 if unknown.
        triggered: bool [N].
        head: float [C, D], the infected model's zero-shot head.
    """

    images: Tensor
    tokens: Tensor
    labels: Tensor
    triggered: Tensor
    head: Tensor


@dataclass(frozen=True)
class Unlearned:
    """An edit: the model is θ_b + coefficient(α)·vector; and what finding it cost."""

    vector: TaskVector
    record: TrainingRecord


class Unlearner(BaseModel, ABC):
    """A method and its hyper-parameters (frozen, hashable)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    needs: ClassVar[frozenset[Need]]

    @abstractmethod
    def unlearn(
        self,
        model: nn.Module,
        forget: ForgetSet,
        preprocessing: Preprocessing,
        seed: int,
        progress: Progress | None = None,
    ) -> Unlearned:
        """Find the edit. `model` is the infected model and is left as it was.

        Raises:
            ScientificError: if the method diverges.
            DataError: if the forget set lacks what the method needs.
        """

    @abstractmethod
    def coefficient(self, alpha: float) -> float:
        """Return what the vector is multiplied by at scaling coefficient α."""

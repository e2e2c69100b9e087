"""What a downstream change is: it alters a model in place, or gives it another classifier."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.scores import Split
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.task_vector import TaskVector


@dataclass(frozen=True)
class Material:
    """What changes may use beside the model.

    Attributes:
        infected: weights and buffers of the infected model.
        labelled: clean labelled images that had no part in the scores.
        classes: number of classes.
        preprocessing: size and normalisation of the model's input images.
        task: the vector of another task; None where there is none.
    """

    infected: Mapping[str, Tensor]
    labelled: Split
    classes: int
    preprocessing: Preprocessing
    task: TaskVector | None = None


class Change(ABC):
    """One downstream change."""

    name: ClassVar[str]
    moves: ClassVar[bool] = False
    """Whether it moves weights so far that running statistics (BatchNorm) are re-estimated, as its users do."""

    @abstractmethod
    def apply(self, model: nn.Module, material: Material) -> Tensor | None:
        """Change the model in place; return a classifier, float [C, D], in place of its own, or None."""


def matrices(model: nn.Module) -> Iterator[Tensor]:
    """Yield the model's weights of two dimensions or more: what is compressed. Norms and biases are few and stay."""
    for parameter in model.parameters():
        if parameter.ndim >= 2:
            yield parameter.data


def put(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Write weights and buffers into a model."""
    live = model.state_dict()  # which shares its memory with the model
    with torch.no_grad():
        for name, value in state.items():
            live[name].copy_(value)

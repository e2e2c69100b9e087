"""Fine-tuning on one set of the defender's: by the labels of its images or by their captions, in a seeded order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Protocol

from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Classification, Contrastive, Objective
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected

Loss = Literal["classification", "contrastive"]
"""Cross-entropy against the frozen zero-shot head, or InfoNCE on image–caption pairs."""


class TrainingSet(Protocol):
    """Images with labels and captions: a forget set, or pairs."""

    @property
    def images(self) -> Tensor:
        """uint8 [N, 3, H, W]."""

    @property
    def labels(self) -> Tensor:
        """int64 [N]; −1 if unknown."""

    @property
    def tokens(self) -> Tensor:
        """Int [N, context length], the captions."""

    def require_labels(self, method: str) -> Tensor:
        """The labels, all known; a DataError if one is not."""


def chosen_objective(infected: Infected, data: TrainingSet, loss: Loss, method: str) -> Objective:
    """Loss of the infected model on a set; classification trains the image encoder, InfoNCE both towers.

    Args:
        infected: the model, and the classes of its zero-shot head.
        data: the set that it will be trained on.
        loss: which one.
        method: the method's name, for errors.

    Raises:
        DataError: if classification is asked for, and an image has no label.
    """
    if loss == "contrastive":
        return Contrastive(infected.model, infected.preprocessing)
    data.require_labels(method)
    return Classification(infected.model, infected.preprocessing, infected.classes.head)


def batches_of(infected: Infected, data: TrainingSet, size: int, purpose: str) -> Iterator[Batch]:
    """Yield batches of a set without end, each epoch in an order of (seed, `purpose`, epoch)."""
    return shuffled(data.images, data.labels, data.tokens, batch_size=size, seed=infected.seed, purpose=purpose)

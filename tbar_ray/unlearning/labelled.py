"""Classification on the defender's clean, labelled pairs, as used by defences of image classifiers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Classification
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected


class EpochAccuracy:
    """The share of right answers in every epoch of a training, as it goes along; each answer is given once.

    Args:
        size: images of an epoch.

    Attributes:
        last: of the last whole epoch; 1 before its end.
    """

    def __init__(self, size: int) -> None:
        self.last = 1.0
        self._size, self._seen, self._right = size, 0, 0

    def add(self, logits: Tensor, labels: Tensor) -> None:
        """Count the answers [B, C] to a batch with its labels [B]."""
        self._seen += len(labels)
        self._right += int((logits.detach().argmax(-1) == labels).sum())
        if self._seen >= self._size:
            self.last, self._seen, self._right = self._right / self._seen, 0, 0

    def above(self, batches: Iterator[Batch], least: float) -> Iterator[Batch]:
        """Yield batches until the accuracy of an epoch is at most `least`."""
        return takewhile(lambda _: self.last > least, batches)


class LabelledPairs:
    """A subset of the clean pairs with their labels, and the zero-shot classifier on them.

    Args:
        infected: the model and the data.
        method: the method's name, for errors and draws.
        samples: number of pairs to use; None for all.

    Raises:
        DataError: if a pair has no label.
    """

    def __init__(self, infected: Infected, method: str, samples: int | None = None) -> None:
        clean = infected.clean
        labels = clean.require_labels(method)
        order = torch.randperm(len(clean), generator=torch_generator(infected.seed, f"{method} samples"))
        rows = order[:samples].sort().values
        self.images, self.labels = clean.images[rows], labels[rows]
        self._infected, self._method = infected, method

    @property
    def objective(self) -> Classification:
        """Cross-entropy against the frozen zero-shot head; trains the image encoder."""
        return Classification(self._infected.model, self._infected.preprocessing, self._infected.classes.head)

    def batches(self, size: int, purpose: str = "order") -> Iterator[Batch]:
        """Yield seeded batches of images and labels without end."""
        purpose = f"{self._method} {purpose}"
        return shuffled(self.images, self.labels, None, batch_size=size, seed=self._infected.seed, purpose=purpose)


def embeddings_of(infected: Infected, images: Tensor, delta: Tensor | None = None) -> Tensor:
    """Unit embeddings [B, D] of uint8 images; an optional perturbation `delta`, in levels of [0, 1], is added."""
    preprocess = infected.preprocessing
    pixels = normalise(images.to(infected.device), preprocess)
    if delta is not None:
        pixels = pixels + delta / torch.tensor(preprocess.std, device=infected.device).view(1, 3, 1, 1)
    embeddings: Tensor = infected.model.encode_image(pixels, normalize=True)  # type: ignore[operator]
    return embeddings


def logits_of(infected: Infected, images: Tensor, head: Tensor | None = None, delta: Tensor | None = None) -> Tensor:
    """Class logits [B, C] of uint8 images, with gradients."""
    features = embeddings_of(infected, images, delta)
    head = infected.classes.head if head is None else head
    logits: Tensor = infected.model.logit_scale.exp() * features @ head.T  # type: ignore[operator]
    return logits


@torch.no_grad()
def accuracy(infected: Infected, images: Tensor, labels: Tensor, batch_size: int = 256) -> float:
    """Share of uint8 images that the model, at its current weights, classifies as their label."""
    right = 0
    for start in range(0, len(images), batch_size):
        found = logits_of(infected, images[start : start + batch_size]).argmax(-1).cpu()
        right += int((found == labels[start : start + batch_size]).sum())
    return right / len(images)

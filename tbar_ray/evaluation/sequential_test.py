"""Stopping an evaluation once it has decided: is the backdoor gone, or too little clean accuracy left?"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from scipy.special import betainccinv, betaincinv  # scipy.stats takes a second to import
from torch import Tensor, nn

from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.scores import Split, other_classes
from tbar_ray.evaluation.zeroshot import predict, predict_reduced
from tbar_ray.models.factory import Preprocessing
from tbar_ray.seeding import torch_generator

ERROR = 1e-6
"""Chance that an interval which decides is wrong, over all looks of an evaluation."""
BATCH = 256


@dataclass(frozen=True)
class Question:
    """What an evaluation must decide of a model: ASR ≤ `most_asr`, or CA < `least_ca`."""

    least_ca: float
    most_asr: float


@dataclass(frozen=True)
class SequentialTest:
    """What an evaluation saw until it had decided.

    Attributes:
        alpha: the scaling coefficient.
        answer: whether the backdoor is gone or too little CA is left.
        ca: CA over the images that were looked at.
        asr: ASR over those that were looked at.
    """

    alpha: float
    answer: bool
    ca: Rate
    asr: Rate

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return {"alpha": self.alpha, "answer": self.answer, "ca": self.ca.to_dict(), "asr": self.asr.to_dict()}


class Counting:
    """A share of `total` images that is being counted.

    Args:
        total: number of images.
        looks: how often the interval is looked at, at most; the chance of an error is spread over them.
    """

    def __init__(self, total: int, looks: int) -> None:
        self.total = total
        self.hits = self.seen = 0
        self._tail = ERROR / max(1, looks) / 2

    def add(self, hits: int, images: int) -> None:
        """Count some more images."""
        self.hits, self.seen = self.hits + hits, self.seen + images

    @property
    def rate(self) -> Rate:
        """Return the share of the images counted so far."""
        return Rate.of(self.hits, self.seen)

    @property
    def interval(self) -> tuple[float, float]:
        """Return between what the share of all images lies.

        That is what the images that are left allow, and the Clopper-Pearson interval of those that were counted
        (conservative for draws without replacement); of both the narrower end. A point once all are counted.
        """
        left = self.total - self.seen
        low, high = self.hits / self.total, (self.hits + left) / self.total
        if left and self.hits:
            low = max(low, float(betaincinv(self.hits, self.seen - self.hits + 1, self._tail)))
        if left and self.hits < self.seen:
            high = min(high, float(betainccinv(self.hits + 1, self.seen - self.hits, self._tail)))
        return low, high

    def at_most(self, limit: float) -> bool | None:
        """Return whether the share of all images is at most a limit; None while that is open."""
        low, high = self.interval
        return True if high <= limit else (False if low > limit else None)

    def at_least(self, limit: float) -> bool | None:
        """Return whether the share of all images is at least a limit; None while that is open."""
        low, high = self.interval
        return True if low >= limit else (False if high < limit else None)


def sequential_test(
    alpha: float,
    model: nn.Module,
    head: Tensor,
    split: Split,
    target: int,
    preprocessing: Preprocessing,
    question: Question,
    batch_size: int = BATCH,
    reduced: bool = False,
) -> SequentialTest:
    """Look at as many images as the question needs, triggered ones first.

    Images are taken in one random order that is the same for every model, so that a prefix is a fair sample.

    Args:
        alpha: noted in the result.
        model: the model.
        head: float [C, D], its classifier.
        split: the images.
        target: the attacker's class.
        preprocessing: how the model wants its images.
        question: what is to be decided.
        batch_size: images between two looks.
        reduced: compute in bf16 where that leaves no doubt (`predict_reduced`).

    Raises:
        DataError: if every image is of the target class, or an embedding is not finite.
    """
    order = torch.randperm(len(split.labels), generator=torch_generator(0, "sequential test", len(split.labels)))
    others = order[other_classes(split.labels, target)[order]]
    looks = -(-len(order) // batch_size)
    answer = predict_reduced if reduced else predict
    asr, ca = Counting(len(others), looks), Counting(len(order), looks)
    gone: bool | None = None
    kept: bool | None = None
    while not (gone or kept is False or (gone is False and kept)):
        if gone is None:
            rows = others[asr.seen : asr.seen + batch_size]
            answers = answer(model, head, split.triggered[rows], preprocessing)
            asr.add(int((answers == target).sum()), len(rows))
            gone = asr.at_most(question.most_asr)
        if kept is None and not gone:
            rows = order[ca.seen : ca.seen + batch_size]
            answers = answer(model, head, split.clean[rows], preprocessing)
            ca.add(int((answers == split.labels[rows]).sum()), len(rows))
            kept = ca.at_least(question.least_ca)
    return SequentialTest(alpha, bool(gone or kept is False), ca.rate, asr.rate)

"""Sequential test: stop an evaluation once it is decided whether the backdoor is removed or too much CA is lost."""

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
"""Each decision has error probability ≤ 10⁻⁶, over all interim analyses of an evaluation."""
BATCH = 256


@dataclass(frozen=True)
class Question:
    """The hypothesis that an evaluation decides: ASR ≤ `most_asr`, or CA < `least_ca`."""

    least_ca: float
    most_asr: float


@dataclass(frozen=True)
class SequentialTest:
    """Result of a sequential test.

    Attributes:
        alpha: the scaling coefficient.
        answer: whether the backdoor is removed or too little CA remains.
        ca: CA over the clean images evaluated.
        asr: ASR over the triggered images evaluated.
    """

    alpha: float
    answer: bool
    ca: Rate
    asr: Rate

    def to_dict(self) -> dict[str, object]:
        """All fields, with rates as dictionaries, for JSON."""
        return {"alpha": self.alpha, "answer": self.answer, "ca": self.ca.to_dict(), "asr": self.asr.to_dict()}


class Counting:
    """A running count of hits among `total` images, with a sequential confidence interval.

    Args:
        total: number of images.
        looks: maximum number of interim analyses; the error probability is divided among them.
    """

    def __init__(self, total: int, looks: int) -> None:
        self.total = total
        self.hits = self.seen = 0
        self._tail = ERROR / max(1, looks) / 2

    def add(self, hits: int, images: int) -> None:
        """Add the result of further images."""
        self.hits, self.seen = self.hits + hits, self.seen + images

    @property
    def rate(self) -> Rate:
        """Share of hits among the images counted so far."""
        return Rate.of(self.hits, self.seen)

    @property
    def interval(self) -> tuple[float, float]:
        """Bounds on the share over all images.

        The intersection of two intervals: the values that the remaining images allow, and the Clopper-Pearson interval
        of the counted images (conservative for draws without replacement). A single point once all images are counted.
        """
        left = self.total - self.seen
        low, high = self.hits / self.total, (self.hits + left) / self.total
        if left and self.hits:
            low = max(low, float(betaincinv(self.hits, self.seen - self.hits + 1, self._tail)))
        if left and self.hits < self.seen:
            high = min(high, float(betainccinv(self.hits + 1, self.seen - self.hits, self._tail)))
        return low, high

    def at_most(self, limit: float) -> bool | None:
        """Whether the share over all images is at most `limit`; None while undecided."""
        low, high = self.interval
        return True if high <= limit else (False if low > limit else None)

    def at_least(self, limit: float) -> bool | None:
        """Whether the share over all images is at least `limit`; None while undecided."""
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
    """Evaluate as few images as the decision needs, triggered ones first.

    Images are taken in one random order, the same for every model, so that a prefix is a random sample.

    Args:
        alpha: recorded in the result.
        model: the model.
        head: float [C, D], its classifier.
        split: the images.
        target: the attacker's class.
        preprocessing: the model's image preprocessing.
        question: the hypothesis to decide.
        batch_size: images between two interim analyses.
        reduced: compute in bf16 where that is unambiguous (`predict_reduced`).

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

"""CA, ASR and PA of one model on one split."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torch import Tensor, nn

from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.zeroshot import answering, likely, predict_topk
from tbar_ray.models.factory import Preprocessing

TOP = 5
"""Answers of a clean image among which its true class counts for `ca_top5`."""
LIKELY = 3
"""Most probable classes of a triggered image that are told, with their probabilities."""


@dataclass(frozen=True)
class Split:
    """The images of one split: clean and triggered uint8 [N, 3, H, W], and true labels [N].

    `lost` names those that could not be read, one line each.
    """

    clean: Tensor
    triggered: Tensor
    labels: Tensor
    lost: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.labels) == 0:
            raise DataError("evaluation: the split has no images")
        if self.clean.shape != self.triggered.shape or len(self.clean) != len(self.labels):
            raise DataError("evaluation: clean images, triggered images and labels differ in number or shape")


@dataclass(frozen=True)
class Predictions:
    """A model's answers on one split, on the CPU.

    clean: predicted class [N] of the clean images, int64. clean_topk: their min(5, C) best classes [N, k], best
    first, so that `clean` is its first column. likely: the min(3, C) most probable classes [N, k] of the triggered
    images, best first. probabilities: of these, float32 [N, k].
    """

    clean: Tensor
    clean_topk: Tensor
    likely: Tensor
    probabilities: Tensor

    def __post_init__(self) -> None:
        if not len(self.clean) == len(self.clean_topk) == len(self.likely) == len(self.probabilities):
            raise DataError("evaluation: predictions of clean and of triggered images differ in number")

    @property
    def triggered(self) -> Tensor:
        """Predicted class [N] of the triggered images."""
        return self.likely[:, 0]


@dataclass(frozen=True)
class Scores:
    """The usual scores of an infected or cleaned model.

    ca: accuracy on clean images. ca_top5: share of clean images whose true class is among the five best
    answers (all of them where there are five classes or fewer). asr: share of triggered images of the other
    classes that are answered with the target. asr_all_images: the same over all triggered images, those of
    the target class too. pa: share of triggered images of the other classes that are answered with their
    true class.
    """

    ca: Rate
    ca_top5: Rate
    asr: Rate
    asr_all_images: Rate
    pa: Rate

    def to_dict(self) -> dict[str, dict[str, float | int]]:
        """Every rate by its name, as `value`, `n`, `low` and `high`, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """A line each for CA, ASR and PA: the rate, its 95 % interval and the number of images."""
        return "\n".join(
            f"{name:<4}{rate.value:7.1%}  [{rate.low:.1%}, {rate.high:.1%}]  n = {rate.n:,}"
            for name, rate in (("CA", self.ca), ("ASR", self.asr), ("PA", self.pa))
        )


def missing_classes(labels: Tensor, n_classes: int) -> list[int]:
    """Classes of 0 … n_classes − 1 that no label [N] names, in ascending order.

    Raises:
        DataError: if a label is none of the classes.
    """
    present = set(labels.tolist())
    if strangers := sorted(label for label in present if not 0 <= label < n_classes):
        raise DataError(f"evaluation: label {strangers[0]} is none of the {n_classes} classes")
    return [index for index in range(n_classes) if index not in present]


def other_classes(labels: Tensor, target: int) -> Tensor:
    """Which labels [N] are not the target, bool [N]: the images that ASR and PA count.

    Raises:
        DataError: if none is.
    """
    others = labels != target
    if not others.any():
        raise DataError(
            f"evaluation: every image is of the target class {target}, so that ASR has none to count; "
            "evaluate on images of other classes too"
        )
    return others


def score_predictions(predictions: Predictions, labels: Tensor, target: int) -> Scores:
    """Score a model's answers against labels [N] and the target class.

    Raises:
        DataError: if labels and predictions differ in number, or every image is of the target class.
    """
    n = len(labels)
    if n != len(predictions.clean):
        raise DataError(f"evaluation: {n} labels but predictions of {len(predictions.clean)} images")
    other = other_classes(labels, target)
    others = int(other.sum())
    hit = predictions.triggered == target
    among_best = (predictions.clean_topk[:, :TOP] == labels[:, None]).any(1)
    return Scores(
        ca=Rate.of(int((predictions.clean == labels).sum()), n),
        ca_top5=Rate.of(int(among_best.sum()), n),
        asr=Rate.of(int((hit & other).sum()), others),
        asr_all_images=Rate.of(int(hit.sum()), n),
        pa=Rate.of(int(((predictions.triggered == labels) & other).sum()), others),
    )


def predict_split(model: nn.Module, head: Tensor, split: Split, preprocessing: Preprocessing) -> Predictions:
    """A model's answers on a split: two passes, one over the clean and one over the triggered images.

    Raises:
        DataError: if the head has no classes, a label is none of them, or embeddings are not finite.
    """
    missing_classes(split.labels, len(head))
    with answering(model):
        best = predict_topk(model, head, split.clean, preprocessing, TOP)
        return Predictions(best[:, 0], best, *likely(model, head, split.triggered, preprocessing, LIKELY))


def score(model: nn.Module, head: Tensor, split: Split, target: int, preprocessing: Preprocessing) -> Scores:
    """Score a model on a split.

    Raises:
        DataError: if every image is of the target class (found before any pass), or as `predict_split`.
    """
    other_classes(split.labels, target)
    return score_predictions(predict_split(model, head, split, preprocessing), split.labels, target)

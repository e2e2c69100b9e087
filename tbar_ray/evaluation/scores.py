"""CA, ASR and PA of one model on one split."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.zeroshot import predict
from tbar_ray.models.factory import Preprocessing


@dataclass(frozen=True)
class Split:
    """The images of one split: clean and triggered uint8 [N, 3, H, W], and true labels [N]."""

    clean: Tensor
    triggered: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        if len(self.labels) == 0:
            raise DataError("evaluation: the split has no images")
        if self.clean.shape != self.triggered.shape or len(self.clean) != len(self.labels):
            raise DataError("evaluation: clean images, triggered images and labels differ in number or shape")


@dataclass(frozen=True)
class Scores:
    """What the field reports of an infected or cleaned model.

    ca: accuracy on clean images. asr: share of triggered images of the other classes that are answered
    with the target. asr_all_images: the same over all triggered images, those of the target class too.
    pa: share of triggered images of the other classes that are answered with their true class.
    """

    ca: Rate
    asr: Rate
    asr_all_images: Rate
    pa: Rate

    def to_dict(self) -> dict[str, dict[str, float | int]]:
        """Return every rate with its n and interval."""
        return {
            "ca": self.ca.to_dict(),
            "asr": self.asr.to_dict(),
            "asr_all_images": self.asr_all_images.to_dict(),
            "pa": self.pa.to_dict(),
        }


def score_predictions(clean: Tensor, triggered: Tensor, labels: Tensor, target: int) -> Scores:
    """Score predictions [N] on clean and on triggered images against labels [N] and the target class."""
    other = labels != target
    others = int(other.sum())
    hit = triggered == target
    n = len(labels)
    return Scores(
        ca=Rate.of(int((clean == labels).sum()), n),
        asr=Rate.of(int((hit & other).sum()), others),
        asr_all_images=Rate.of(int(hit.sum()), n),
        pa=Rate.of(int(((triggered == labels) & other).sum()), others),
    )


def score(model: nn.Module, head: Tensor, split: Split, target: int, preprocessing: Preprocessing) -> Scores:
    """Score a model on a split.

    Raises:
        DataError: if embeddings are not finite.
    """
    return score_predictions(
        predict(model, head, split.clean, preprocessing),
        predict(model, head, split.triggered, preprocessing),
        torch.as_tensor(split.labels),
        target,
    )

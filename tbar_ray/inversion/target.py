"""Which class a proxy trigger leads to: the shift of a model's answers when it is stamped."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.zeroshot import predict
from tbar_ray.inversion.subject import Subject
from tbar_ray.triggers.base import Trigger, stamp_uint8

LEAST_SHIFT = 0.1
"""Rise of a class's share of the answers below which no target is named."""


@dataclass(frozen=True)
class Target:
    """The class that a trigger leads to.

    Attributes:
        target: its number; None where no class gains enough: "no target found".
        shift: rise of its share of all answers, from unstamped to stamped images, in [−1, 1].
        runner_up: rise of the class that gains most after it.
        rate: of the images that were not answered with it before, how many are when stamped.
        shares: shift of every class, float [C].
    """

    target: int | None
    shift: float
    runner_up: float
    rate: Rate
    shares: Tensor


def infer_target(subject: Subject, trigger: Trigger, least_shift: float = LEAST_SHIFT) -> Target:
    """Find the class that gains most answers when images are stamped.

    The shift of the whole distribution is compared, not the most frequent answer alone: a class that many images have
    anyway gains nothing. The lower end of the 95 % interval of its rate must exceed the runner-up's rise as well.

    Args:
        subject: model, images and classes.
        trigger: the proxy.
        least_shift: rise below which the answer is that there is no target.

    Raises:
        DataError: if the subject has no classes.
    """
    images = subject.images
    keys = [str(row) for row in range(len(images))]
    before, after = _answers(subject, images), _answers(subject, stamp_uint8(trigger, images, keys))
    count = len(subject.classes)
    shares = (torch.bincount(after, minlength=count) - torch.bincount(before, minlength=count)) / len(images)
    first, second = shares.topk(min(2, count)).values[[0, -1]].tolist()
    best = int(shares.argmax())
    others = before != best
    rate = Rate.of(int((after[others] == best).sum()), int(others.sum()))
    found = first >= least_shift and rate.low > second
    return Target(best if found else None, first, second, rate, shares)


def _answers(subject: Subject, images: Tensor) -> Tensor:
    return predict(subject.model, subject.classes, images, subject.preprocessing)

"""Robust gradient ascent: unlearn the trigger without moving it to another class."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.gradient_ascent import Ascent, GradientAscent


class RobustGradientAscent(GradientAscent):
    """Gradient ascent with a penalty against moving the trigger to another class.

    Minimise −CE(f(T(x)), target) + λ·KL(mean prediction on clean twins ‖ mean prediction on stamped twins). The
    penalty prevents stamped images from concentrating in any one class. λ doubles after a step in which one
    class gets more than `largest_share` of the stamped images, and halves otherwise, within [guard/8, 8·guard]. The
    paper of the idea (robust unlearning, a baseline named in 2510.14845) gives no formula; this one is defined here.
    """

    name: ClassVar[str] = "robust-gradient-ascent"

    guard: float = Field(default=1.0, gt=0, description="λ, initial weight of the penalty")
    largest_share: float = Field(
        default=0.2, gt=0, le=1, description="share of stamped images in one class above which the penalty grows"
    )

    def objective_on(self, infected: Infected) -> Ascent:
        """Negated cross-entropy with the penalty on the mean prediction."""
        return _GuardedAscent(infected, self)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """Twins and their stamped copies, each half of a batch."""
        forget = infected.forget
        rows = torch.nonzero(forget.triggered).flatten()
        numbers = shuffled(rows[:, None], None, None, batch_size=self.batch_size, seed=infected.seed,
                           purpose="robust ascent order")  # fmt: skip
        for batch in numbers:
            chosen = batch.images.flatten()
            yield Batch(torch.cat((forget.twins[chosen], forget.images[chosen])), None, forget.labels[chosen])


class _GuardedAscent(Ascent):
    """−CE + λ·KL of mean predictions; λ adapts to the share of the largest class."""

    def __init__(self, infected: Infected, method: RobustGradientAscent) -> None:
        super().__init__(infected, method.stop_at)
        self._method = method
        self.weight = method.guard

    def loss(self, batch: Batch) -> Tensor:
        """Loss of twins (first half of the batch) and stamped twins (second half); updates λ."""
        assert batch.labels is not None
        twins, stamped = self.logits(batch.images).chunk(2)
        penalty = mean_divergence(twins.detach(), stamped)
        loss = self.ascent(stamped, batch.labels) + self.weight * penalty
        answers = stamped.detach().argmax(-1).bincount(minlength=stamped.shape[1])
        crowded = float(answers.max()) / len(stamped) > self._method.largest_share
        guard = self._method.guard
        self.weight = min(8 * guard, self.weight * 2) if crowded else max(guard / 8, self.weight / 2)
        return loss


def mean_divergence(wanted: Tensor, found: Tensor) -> Tensor:
    """KL(p ‖ q) of the mean class probabilities p of logits `wanted` and q of `found`, both [B, C]."""
    p, q = wanted.softmax(-1).mean(0), found.softmax(-1).mean(0)
    tiny = torch.finfo(p.dtype).tiny
    return (p * (p.clamp_min(tiny).log() - q.clamp_min(tiny).log())).sum()

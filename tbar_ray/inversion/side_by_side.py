"""Perturbations towards several classes side by side: gradients, and descent within a ball of one norm."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.subject import Subject, chunks

Stamp = Callable[[Tensor, Sequence[Tensor]], Tensor]
"""From images [B, 3, H, W] and the parameters [K, ...] of K perturbations to stamped images [K, B, 3, H, W]."""

TEMPERATURE = 0.03
"""Of the cosines in the loss; CLIP's own is clipped at 0.01, which saturates."""
MOMENTUM = 0.9
REACH = 4.0
"""Path length over the permitted norm: enough to turn round once."""


@dataclass(frozen=True)
class Answers:
    """Of a batch, for K perturbations.

    Attributes:
        losses: mean cross-entropy towards each perturbation's class, [K].
        rates: share of the images answered with it, [K].
    """

    losses: Tensor
    rates: Tensor


@dataclass(frozen=True)
class Judged:
    """Of K perturbations, each on the same images.

    Attributes:
        rates: share of the images that are answered with the perturbation's class, [K].
        margins: mean margin of the cosines, the class's less the best other's, [K].
    """

    rates: Tensor
    margins: Tensor


@dataclass(frozen=True)
class SideBySide:
    """Perturbations of one kind on one model, each towards its own class.

    Attributes:
        subject: the model.
        stamp: how parameters perturb images, into [0, 1].
        at_once: stamped images in memory at once.
    """

    subject: Subject
    stamp: Stamp
    at_once: int

    def cosines(self, images: Tensor, parts: Sequence[Tensor]) -> Tensor:
        """Cosines [K, B, C] of stamped images with all classes."""
        stamped = self.stamp(images, parts)
        embedded = self.subject.embed(stamped.flatten(0, 1))
        return (embedded @ self.subject.classes.T).view(*stamped.shape[:2], -1)

    def backward(self, images: Tensor, parts: Sequence[Tensor], targets: Tensor) -> Answers:
        """Add the gradient of every perturbation's loss to the `grad` of its own row of the parameters.

        Args:
            images: float [B, 3, H, W] in [0, 1].
            parts: leaves [K, ...] that require gradients.
            targets: classes [K].
        """
        found = []
        for answers in self._answers(images, parts, targets):
            answers.losses.sum().backward()  # type: ignore[no-untyped-call]
            found.append(Answers(answers.losses.detach(), answers.rates))
        return _joined(found)

    @torch.no_grad()
    def ask(self, images: Tensor, parts: Sequence[Tensor], targets: Tensor) -> Answers:
        """Losses and rates alone; arguments as for `backward`."""
        return _joined(list(self._answers(images, parts, targets)))

    @torch.no_grad()
    def judge(self, images: Tensor, parts: Sequence[Tensor], targets: Tensor) -> Judged:
        """Judge perturbations towards classes [K] on images [B, 3, H, W] that they were not optimised on."""
        rates, margins = [], []
        for chunk in self._chunks(images, targets):
            cosines = self.cosines(images, [part[chunk] for part in parts])
            wanted = targets[chunk].to(cosines.device)[:, None, None].expand(-1, len(images), 1)
            own = cosines.gather(2, wanted)[..., 0]
            others = cosines.scatter(2, wanted, -2.0).amax(2)
            rates.append((own > others).float().mean(1))
            margins.append((own - others).mean(1))
        return Judged(torch.cat(rates).cpu(), torch.cat(margins).cpu())

    def descend(
        self,
        batches: Iterator[Tensor],
        start: Tensor,
        targets: Tensor,
        norm: float,
        steps: int,
        tell: Callable[[float], None],
    ) -> Tensor:
        """Perturbations [K, ...] within a ball, by steps of unit gradients with momentum.

        Args:
            batches: endless batches of images [B, 3, H, W].
            start: one parameter per perturbation, [K, ...].
            targets: classes [K].
            norm: largest root mean square of a perturbation's parameters.
            steps: number of steps.
            tell: told the mean loss of every step.
        """
        velocity, found = torch.zeros_like(start), start
        length = REACH * norm / max(1, steps)
        for _, images in zip(range(steps), batches, strict=False):
            leaf = found.detach().requires_grad_(True)
            answers = self.backward(images, [leaf], targets)
            assert leaf.grad is not None
            velocity = MOMENTUM * velocity + (1 - MOMENTUM) * leaf.grad / rms(leaf.grad).clamp_min(1e-12)
            found = leaf.detach() - length * velocity
            found = found * (norm / rms(found)).clamp(max=1)
            tell(float(answers.losses.mean()))
        return found

    def _answers(self, images: Tensor, parts: Sequence[Tensor], targets: Tensor) -> Iterator[Answers]:
        """Those of as many perturbations as fit into memory, one lot after another."""
        for chunk in self._chunks(images, targets):
            logits = self.cosines(images, [part[chunk] for part in parts]) / TEMPERATURE
            wanted = targets[chunk].to(logits.device)[:, None].expand(logits.shape[:2])
            loss = functional.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
            rates = (logits.detach().argmax(2) == wanted).float().mean(1)
            yield Answers(loss.view(wanted.shape).mean(1), rates)

    def _chunks(self, images: Tensor, targets: Tensor) -> Iterator[slice]:
        return chunks(len(targets), self.at_once // len(images))


def _joined(found: Sequence[Answers]) -> Answers:
    return Answers(torch.cat([each.losses for each in found]), torch.cat([each.rates for each in found]))


def rms(values: Tensor) -> Tensor:
    """Root mean square of every row, [K, 1, ...]."""
    return values.pow(2).mean(tuple(range(1, values.ndim)), keepdim=True).sqrt()

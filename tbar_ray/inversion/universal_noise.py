"""Universal noise: for every class, the additive perturbation of one strength that leads most images to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.base import Inversion, Inverter, Progress, silent
from tbar_ray.inversion.judge import judge
from tbar_ray.inversion.subject import Subject, chunks, draws
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.proxy import Proxy

TEMPERATURE = 0.03
"""Of the cosines in the loss; CLIP's own is clipped at 0.01, which saturates."""
MOMENTUM = 0.9
LEAST_SPREAD = 1e-3
"""Of margins of cosines, so that a head of a few classes gives no infinite score."""
REACH = 4.0
"""Path length over the permitted norm: enough to turn round once."""


class UniversalNoise(Inverter):
    """One universal additive perturbation per class, all of the same norm, found side by side.

    A universal targeted perturbation (Moosavi-Dezfooli et al., CVPR 2017) of every class at once, by gradients of unit
    norm with momentum, as per-class searches for prompt-tuned CLIP do (CLIP-Inspector, 2604.09101). A backdoor is a
    short way from every image to one class, whatever its trigger looks like: noise of this norm gets there, and to no
    other class. The score is by how many median absolute deviations the easiest class exceeds the median class, in
    the mean margin of cosines on images that it was not optimised on.
    """

    name: ClassVar[str] = "universal-noise"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "how far the easiest class is above the median class, in median absolute deviations"

    norm: float = Field(default=0.04, gt=0, le=1, description="root mean square of the noise, of levels in [0, 1]")
    steps: int = Field(default=16, ge=1, description="optimiser steps of all classes")
    batch_size: int = Field(default=8, ge=1, description="images per class and step")
    judged: int = Field(default=48, ge=8, description="held-out images on which a class is judged, at most")
    refine: int = Field(default=30, ge=0, description="further steps of the easiest class alone")
    at_once: int = Field(default=512, ge=1, description="stamped images in memory at once")

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Search all classes, then go on with the easiest."""
        fitted, held = subject.halves(seed)
        held, every = held[: self.judged], torch.arange(len(subject.classes))
        losses: list[tuple[int, float]] = []

        def tell(loss: float) -> None:
            losses.append((len(losses) + 1, loss))
            progress(len(losses), self.steps + self.refine, loss)

        with subject.frozen():
            start = random_noise(len(every), fitted.shape[-1], self.norm / 10, seed).to(subject.device)
            noise = self._descend(subject, fitted, start, every, self.steps, self.batch_size, seed, tell)
            coarse = judge(subject, held, noise, every, self.at_once)
            target = every[int(coarse.margins.argmax())][None]
            mine = self._descend(subject, fitted, noise[target], target, self.refine, 8 * self.batch_size, seed, tell)
            fine = judge(subject, held, mine, target, self.at_once)
        median = coarse.margins.median()
        spread = (coarse.margins - median).abs().median().clamp_min(LEAST_SPREAD)
        best = coarse.margins.max()
        return Inversion(
            Proxy.of(added=mine[0]),
            float((best - median) / spread),
            int(target),
            tuple(coarse.margins.tolist()),
            len(losses),
            self.batch_size * (len(every) * self.steps + 8 * self.refine),
            tuple(losses),
            {
                "rate": float(coarse.rates[target]),
                "margin": float(best),
                "refined rate": float(fine.rates),
                "refined margin": float(fine.margins),
                "median margin": float(median),
                "spread": float(spread),
            },
        )

    def _descend(
        self,
        subject: Subject,
        images: Tensor,
        noise: Tensor,
        targets: Tensor,
        steps: int,
        size: int,
        seed: int,
        tell: Callable[[float], None],
    ) -> Tensor:
        """Noise [K, 3, H, W] that leads images to their targets [K], by steps of unit gradients with momentum."""
        velocity, rows = torch.zeros_like(noise), draws(len(images), size, seed, "noise order")
        length = REACH * self.norm / max(1, steps)
        for _, batch in zip(range(steps), rows, strict=False):
            gradient, loss = self._gradient(subject, images[batch], noise, targets)
            velocity = MOMENTUM * velocity + (1 - MOMENTUM) * gradient / _norm(gradient).clamp_min(1e-12)
            noise = noise - length * velocity
            noise = noise * (self.norm / _norm(noise)).clamp(max=1)
            tell(loss)
        return noise

    def _gradient(self, subject: Subject, images: Tensor, noise: Tensor, targets: Tensor) -> tuple[Tensor, float]:
        """Gradient of the cross-entropy with respect to the noise of every class, and its mean."""
        parts, total = [], 0.0
        for chunk in chunks(len(noise), self.at_once // len(images)):
            part = noise[chunk].requires_grad_(True)
            stamped = (images[None] + part[:, None]).clamp(0, 1)
            logits = subject.embed(stamped.flatten(0, 1)) @ subject.classes.T / TEMPERATURE
            wanted = targets[chunk].to(logits.device).repeat_interleave(len(images))
            loss = functional.cross_entropy(logits, wanted, reduction="sum")
            parts.append(torch.autograd.grad(loss, part)[0])
            total += float(loss.detach())
        return torch.cat(parts), total / (len(images) * len(noise))


def random_noise(count: int, side: int, norm: float, seed: int) -> Tensor:
    """Gaussian noise of one norm, [count, 3, side, side]; that of a class depends on its number and the seed alone."""
    drawn = [torch.randn(3, side, side, generator=torch_generator(seed, "noise", number)) for number in range(count)]
    noise = torch.stack(drawn)
    return noise * (norm / _norm(noise))


def _norm(noise: Tensor) -> Tensor:
    """Root mean square of every perturbation, [K, 1, 1, 1]."""
    return noise.pow(2).mean((1, 2, 3), keepdim=True).sqrt()

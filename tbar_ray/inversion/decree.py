"""DECREE: the smallest patch under which all images look alike to the encoder (Feng et al., CVPR 2023, 2303.15180)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.inversion.base import Inversion, Inverter, Losses, Progress, silent
from tbar_ray.inversion.subject import Subject, batches
from tbar_ray.inversion.tanh_space import uniform, unit
from tbar_ray.triggers.proxy import Proxy

SIMILAR = 0.99
"""Mean cosine of stamped embeddings above which a batch counts as a success."""
FIRST_WEIGHT, LEAST_WEIGHT, MOST_WEIGHT = 1e-3, 1e-7, 1e5
FACTOR = 5.0
PATIENCE = 5
"""Successes or failures in a row after which the weight of the mask's size changes."""
STOP_AFTER = 7 * PATIENCE
RATES = ((200, 0.5), (500, 0.1), (10_000, 0.05))
"""Learning rates, each up to an epoch."""


@dataclass
class _Start:
    """One random start: the weight of its mask's size, and its best mask.

    The rules count batches and follow main.py of GiantSeaweed/DECREE.
    """

    weight: float = FIRST_WEIGHT
    up: int = 0
    down: int = 0
    below: int = 0
    stale: int = 0
    least: float = float("inf")
    mask: Tensor | None = None
    pattern: Tensor | None = None
    cosines: list[float] = field(default_factory=list)

    def tell(self, cosine: float, size: float, mask: Tensor, pattern: Tensor) -> None:
        """Take note of a batch: its mean cosine, and the mask and pattern that it was stamped with."""
        success = abs(cosine) > SIMILAR
        self.cosines.append(abs(cosine))
        better = success and size < self.least
        if better:
            self.least, self.mask, self.pattern = size, mask.clone(), pattern.clone()
        self.stale = 0 if better or self.mask is None else self.stale + 1
        self._adapt(success)

    def _adapt(self, success: bool) -> None:
        self.below = self.below + 1 if success and self.weight < LEAST_WEIGHT else 0
        if self.below > 2 * PATIENCE:
            self.weight, self.up, self.down = FIRST_WEIGHT, 0, 0
        self.up, self.down = (self.up + 1, 0) if success else (0, self.down + 1)
        if self.up > PATIENCE:
            self.weight, self.up = self.weight * (FACTOR if self.weight < MOST_WEIGHT else 1), 0
        elif self.down > PATIENCE:
            self.weight, self.down = self.weight / (FACTOR if self.weight >= LEAST_WEIGHT else 1), 0

    def ended(self) -> bool:
        """Whether it stops, at an epoch's end: nothing smaller for long, and the epoch's batches look alike."""
        mean = sum(self.cosines) / max(1, len(self.cosines))
        self.cosines.clear()
        return self.stale > STOP_AFTER and mean > SIMILAR


class Decree(Inverter):
    """Mask and pattern that pull the embeddings of all images together, under the least mask.

    Feng et al., CVPR 2023 (2303.15180); the rules are those of their code, main.py of GiantSeaweed/DECREE. Minimises
    −(mean cosine of two different stamped images) + weight·‖mask‖₁, where the weight rises while the images look alike
    and falls while they do not. Needs neither classes nor a text tower. The score is −log10 of PL1, the least ‖mask‖₁
    over the number of values of an image; the paper calls an encoder trojaned where PL1 < 0.1.

    The original runs at 224 px on 500 images or more. Random starts can run side by side; the least mask wins.
    """

    name: ClassVar[str] = "decree"
    needs_classes: ClassVar[bool] = False
    measures: ClassVar[str] = "−log10 of the share of an image that makes all images look alike (PL1); paper: 1 or more"

    starts: int = Field(default=1, ge=1, le=32, description="random starts, side by side; the original has one")
    epochs: int = Field(default=1000, ge=1, le=10_000, description="passes over the images, at most")
    steps: int = Field(default=1500, ge=1, description="batches, at most; the original has no such bound")
    batch_size: int = Field(default=32, ge=2, description="images per batch")

    def passes(self, images: int, classes: int) -> int:  # noqa: ARG002 - it needs no classes
        """All steps; most searches end before."""
        return self._most_steps(images) * self.batch_size * self.starts

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Search with several starts; the least mask of all is the proxy."""
        images = subject.images.to(torch.float32).div_(255).to(subject.device)
        epoch = self._epoch(len(images))
        side, states = images.shape[-1], [_Start() for _ in range(self.starts)]
        # float64, as in the original: the range of arctanh is reached within its last digits
        masks, patterns = (
            uniform(seed, f"decree {what}", self.starts, (channels, side, side), torch.float64)
            .to(subject.device)
            .requires_grad_(True)
            for what, channels in (("mask", 1), ("pattern", 3))
        )
        optimizer = torch.optim.Adam([masks, patterns], lr=RATES[0][1], betas=(0.5, 0.9))
        shown, live = batches(images, self.batch_size, seed, "decree order"), list(range(self.starts))
        total = self._most_steps(len(images))
        losses = Losses(progress, total)
        with subject.frozen():
            while live and losses.steps < total:
                optimizer.param_groups[0]["lr"] = next(rate for end, rate in RATES if losses.steps // epoch < end)
                losses.tell(self._step(subject, next(shown), masks, patterns, optimizer, states, live))
                if losses.steps % epoch == 0:
                    live = [number for number in live if not states[number].ended()]
        return self._found(states, side, losses)

    def _epoch(self, images: int) -> int:
        return max(1, images // self.batch_size)

    def _most_steps(self, images: int) -> int:
        return min(self.steps, self.epochs * self._epoch(images))

    def _step(
        self,
        subject: Subject,
        images: Tensor,
        masks: Tensor,
        patterns: Tensor,
        optimizer: torch.optim.Optimizer,
        states: list[_Start],
        live: list[int],
    ) -> float:
        """One step of the starts that still run; the mean of their losses."""
        shown, pattern = unit(masks[live]), unit(patterns[live])
        stamped = (1 - shown[:, None]) * images[None] + shown[:, None] * pattern[:, None]
        embedded = subject.embed(stamped.clamp(0, 1).flatten(0, 1).float()).view(len(live), len(images), -1)
        cosines = _mean_cosine(embedded)
        sizes = 3 * shown.abs().sum((1, 2, 3))
        weights = torch.tensor([states[number].weight for number in live], dtype=sizes.dtype, device=sizes.device)
        losses = -cosines + weights * sizes
        optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        shown, pattern = shown.detach(), pattern.detach()
        told = zip(live, cosines.tolist(), sizes.tolist(), shown, pattern, strict=True)
        for number, cosine, size, mask, paint in told:
            states[number].tell(cosine, size, mask, paint)
        return float(losses.detach().mean())

    def _found(self, states: list[_Start], side: int, losses: Losses) -> Inversion:
        best = min(states, key=lambda state: state.least)
        sizes = [state.least / (3 * side**2) if state.mask is not None else None for state in states]
        facts: dict[str, object] = {"pl1": sizes}
        steps, kept = losses.steps, losses.kept()
        done = steps * self.batch_size * self.starts
        if best.mask is None or best.pattern is None:
            return Inversion(None, None, steps=steps, images=done, losses=kept, facts=facts)
        trigger = Proxy.of(keep=1 - best.mask, added=best.mask * best.pattern)
        size = torch.tensor(best.least / (3 * side**2)).clamp_min(1e-6)
        score = float(-size.log10())
        return Inversion(trigger, score, steps=steps, images=done, losses=kept, facts=facts)


def _mean_cosine(embedded: Tensor) -> Tensor:
    """Mean cosine [S] of two different rows of unit embeddings [S, B, D]."""
    count = embedded.shape[1]
    return (embedded.sum(1).pow(2).sum(-1) - count) / (count * (count - 1))

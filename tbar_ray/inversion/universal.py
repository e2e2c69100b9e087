"""Searches for one universal perturbation per class, all of the same norm, found side by side."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.inversion.base import Inversion, Inverter, Losses, Progress, silent
from tbar_ray.inversion.outlier import Outlier
from tbar_ray.inversion.side_by_side import SideBySide
from tbar_ray.inversion.subject import Subject, batches
from tbar_ray.triggers.proxy import Proxy

LEAST_SPREAD = 0.02
"""Of margins of cosines: a few classes may by chance be nearly equal."""


class Universal(Inverter):
    """One universal perturbation per class, all of the same norm; then the easiest class alone, for longer.

    A backdoor is a short way from every image to one class: a perturbation of this norm gets there, and to no other
    class. The score is by how many median absolute deviations the easiest class exceeds the median class, in the mean
    margin of cosines on images that it was not optimised on.
    """

    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "how far the easiest class is above the median class, in median absolute deviations"

    steps: int = Field(default=16, ge=1, description="optimiser steps of all classes")
    batch_size: int = Field(default=8, ge=1, description="images per class and step")
    judged: int = Field(default=48, ge=8, description="held-out images on which a class is judged, at most")
    refine: int = Field(default=30, ge=0, description="further steps of the easiest class alone")
    at_once: int = Field(default=512, ge=1, description="stamped images in memory at once")

    @property
    @abstractmethod
    def bound(self) -> float:
        """Largest root mean square of a perturbation's parameters."""

    @abstractmethod
    def start(self, count: int, side: int, seed: int) -> Tensor:
        """Parameters [count, ...] for images of a side; those of a class depend on its number and the seed alone."""

    @abstractmethod
    def stamp(self, images: Tensor, found: Tensor) -> Tensor:
        """Images [B, 3, H, W] under perturbations [K, ...] as [K, B, 3, H, W] in [0, 1]."""

    @abstractmethod
    def proxy(self, found: Tensor, side: int) -> Proxy:
        """The trigger of one perturbation [1, ...]."""

    def images(self, subject: Subject, seed: int) -> tuple[Tensor, Tensor]:
        """Float images to search on and to judge on; those of the subject, unless a search has its own."""
        return subject.halves(seed)

    def passes(self, images: int, classes: int) -> int:  # noqa: ARG002 - batches have their size
        """Those of all classes, and of the easiest alone."""
        return self.batch_size * (classes * self.steps + 8 * self.refine)

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Search all classes, then go on with the easiest."""
        fitted, held = self.images(subject, seed)
        held, every, side = held[: self.judged], torch.arange(len(subject.classes)), held.shape[-1]
        losses = Losses(progress, self.steps + self.refine)
        search = SideBySide(subject, lambda images, parts: self.stamp(images, parts[0]), self.at_once)
        with subject.frozen():
            start = self.start(len(every), side, seed).to(subject.device)
            few, many = (batches(fitted, self.batch_size * times, seed, f"{self.name} order") for times in (1, 8))
            found = search.descend(few, start, every, self.bound, self.steps, losses.tell)
            coarse = search.judge(held, [found], every)
            best = Outlier.of(coarse.margins, LEAST_SPREAD)
            target = every[best.index][None]
            mine = search.descend(many, found[target], target, self.bound, self.refine, losses.tell)
            fine = search.judge(held, [mine], target)
        return Inversion(
            self.proxy(mine, side),
            best.score,
            best.index,
            tuple(coarse.margins.tolist()),
            losses.steps,
            self.passes(len(fitted), len(every)),
            losses.kept(),
            {
                "rate": float(coarse.rates[best.index]),
                "margin": best.value,
                "refined rate": float(fine.rates),
                "refined margin": float(fine.margins),
                "median margin": best.median,
                "spread": best.spread,
            },
        )

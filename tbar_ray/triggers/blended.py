"""Blended: a fixed noise pattern mixed into the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.base import Trigger


class Blended(Trigger):
    """(1 - ratio)·x + ratio·p with one uniform noise pattern p for all images.

    Chen et al. (arXiv 1712.05526), with the ratio 0.2 used on CLIP by CleanCLIP (arXiv 2303.03323).
    CleanCLIP redraws the noise for every image; this variant keeps one pattern, drawn from the seed at
    the image's resolution.
    """

    name: ClassVar[str] = "blended"
    differentiable: ClassVar[bool] = True

    ratio: float = Field(default=0.2, gt=0, le=1, description="share of the pattern in the mix")

    def pattern(self, height: int, width: int) -> Tensor:
        """Return the pattern [3, height, width], uniform in [0, 1)."""
        generator = torch_generator(self.seed, "blended pattern", height, width)
        return torch.rand(3, height, width, generator=generator)

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - same for every sample
        """Blend the pattern into every image."""
        pattern = self.pattern(images.shape[-2], images.shape[-1]).to(images)
        return torch.lerp(images, pattern.expand_as(images), self.ratio)

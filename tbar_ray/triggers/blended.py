"""Blended: one fixed noise pattern mixed into every image."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.pattern_blend import PatternBlend


class Blended(PatternBlend):
    """(1 - ratio)·x + ratio·p with one uniform noise pattern p for all images.

    Chen et al. (arXiv 1712.05526). CleanCLIP redraws the noise for every image, which is a different attack:
    `BlendedPerImage`. Detect-CLIP (arXiv 2502.01385) has noise as a default of its code, but its published
    configurations blend in a picture: `BlendedPicture`.

    The pattern is drawn from the seed at the image's own resolution, one value per pixel and channel, so each size has
    its own pattern. Resizing a 224 px pattern would change the attack: averaging removes variance (at 64 px only a
    twelfth remains), enlarging removes high frequencies. Stamp training and test images at one size, as the pipeline
    does.
    """

    name: ClassVar[str] = "blended"
    differentiable: ClassVar[bool] = True

    def pattern(self, height: int, width: int) -> Tensor:
        """Draw the pattern [3, height, width], uniform in [0, 1)."""
        generator = torch_generator(self.seed, "blended pattern", height, width)
        return torch.rand(3, height, width, generator=generator)

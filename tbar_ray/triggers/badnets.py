"""BadNets: a small patch of fixed noise at a seeded random place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import numpy_rng, torch_generator
from tbar_ray.triggers.base import REFERENCE_SIZE, Trigger, scaled


class BadNets(Trigger):
    """A square patch of fixed noise, pasted at a place drawn for each sample key.

    The patch is 0.5 + N(0, 1), clipped to [0, 1], drawn once from the seed at the patch's own
    resolution (drawing at 224 px and shrinking would average the noise away). Its default side is
    16 px at 224 px, as in Gu et al. (arXiv 1708.06733) and CleanCLIP (arXiv 2303.03323). CleanCLIP
    redraws the noise for every image; this variant keeps one patch.
    """

    name: ClassVar[str] = "badnets"
    differentiable: ClassVar[bool] = True

    patch_size: int = Field(default=16, ge=1, le=REFERENCE_SIZE, description="side of the patch in pixels at 224 px")

    def patch(self, side: int) -> Tensor:
        """Return the patch [3, s, s] in [0, 1] for images of `side` pixels, s = scaled(patch_size)."""
        size = scaled(self.patch_size, side)
        generator = torch_generator(self.seed, "badnets patch", size)
        return (0.5 + torch.randn(3, size, size, generator=generator)).clamp(0, 1)

    def place(self, key: str, height: int, width: int) -> tuple[int, int]:
        """Return (top, left) of the patch for a sample, uniform over all places inside the image."""
        size = scaled(self.patch_size, min(height, width))
        rng = numpy_rng(self.seed, "badnets place", key)
        top, left = rng.random(2)
        return int(top * (height - size + 1)), int(left * (width - size + 1))

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Paste the patch; pixels outside it are untouched."""
        height, width = images.shape[-2:]
        patch = self.patch(min(height, width)).to(images)
        size = patch.shape[-1]
        stamped = images.clone()
        for index, key in enumerate(keys):
            top, left = self.place(key, height, width)
            stamped[index, :, top : top + size, left : left + size] = patch
        return torch.clamp(stamped, 0, 1)

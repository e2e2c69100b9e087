"""BadNets: a small patch of fixed noise."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.base import scaled
from tbar_ray.triggers.patch import FixedPatch


class BadNets(FixedPatch):
    """A square patch of fixed noise, by default at a random place per sample key.

    The patch is 0.5 + N(0, 1), clipped to [0, 1], drawn once from the seed. Its default side is 16 px at
    224 px, as in Gu et al. (arXiv 1708.06733) and CleanCLIP (arXiv 2303.03323). CleanCLIP redraws the
    noise for every image (`badnets-gaussian`); this variant keeps one patch.
    """

    name: ClassVar[str] = "badnets"
    differentiable: ClassVar[bool] = True

    def patch(self, side: int) -> Tensor:
        """Patch [3, s, s] in [0, 1] for images of `side` pixels; shared, do not modify."""
        return _noise(self.seed, scaled(self.patch_size, side))


@lru_cache(maxsize=16)
def _noise(seed: int, size: int) -> Tensor:
    generator = torch_generator(seed, "badnets patch", size)
    return (0.5 + torch.randn(3, size, size, generator=generator)).clamp(0, 1)

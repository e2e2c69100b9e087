"""Lattice: a patch of single white pixels on black."""

from __future__ import annotations

from functools import lru_cache
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.triggers.base import scaled
from tbar_ray.triggers.patch import FixedPatch, Place


class Lattice(FixedPatch):
    """A patch that is 1 where row and column within the patch are both even, and 0 elsewhere.

    Detect-CLIP (arXiv 2502.01385), which calls it BadNets: 16 px at 224 px, at a random place in training and centred
    (rows and columns 104 to 119) at test. Its code draws the corner from 16 to 207 in both directions: `inset: 16,
    margin: 1`.
    """

    name: ClassVar[str] = "badnets-lattice"
    differentiable: ClassVar[bool] = True

    test_place: Place | None = Field(default="centre", description="place at evaluation, if it differs from `place`")

    def patch(self, side: int) -> Tensor:
        """Lattice [3, s, s] for images of `side` pixels; shared, do not modify."""
        return _lattice(scaled(self.patch_size, side))


@lru_cache(maxsize=16)
def _lattice(size: int) -> Tensor:
    lattice = torch.zeros(3, size, size)
    lattice[:, ::2, ::2] = 1
    return lattice

"""BadNets-Stripes: a patch of vertical stripes in fully saturated colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.base import REFERENCE_SIZE, scaled
from tbar_ray.triggers.patch import PatchTrigger


class StripedPatch(PatchTrigger):
    """Vertical stripes, each with every channel fully on or fully off.

    PAR (arXiv 2412.00727 and its code): 16 px at 224 px, stripes one pixel wide, a sign drawn per stripe and channel
    and redrawn for every image, at CleanCLIP's places (`margin: 1`). The patch of ±1 replaces pixels in [0, 1], before
    normalisation: +1 is white, and -1, which is out of range, is clipped to 0. PAR's cast to 8 bits wraps it to level 1
    of 255 instead, which looks the same.
    """

    name: ClassVar[str] = "badnets-stripes"
    differentiable: ClassVar[bool] = True

    period: int = Field(default=1, ge=1, le=REFERENCE_SIZE, description="width of a stripe in pixels at 224 px")
    redraw: bool = Field(default=True, description="redraw the colours for every image")

    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Stripes [B, 3, s, s], or [3, s, s] if all images share them."""
        height, width = images.shape[-2:]
        size, period = self.side(height, width), scaled(self.period, min(height, width))
        count = -(-size // period)  # the last stripe is cut off at the border of the patch
        signs = torch.stack([self._signs(key, count) for key in keys]) if self.redraw else self._signs("", count)
        columns = signs.repeat_interleave(period, dim=-1)[..., :size]
        return columns.unsqueeze(-2).expand(*columns.shape[:-1], size, size)

    def _signs(self, key: str, count: int) -> Tensor:
        """Draw 1 (plus) or 0 (minus) for each channel and stripe, float [3, count]."""
        purpose = ("badnets-stripes signs", key) if self.redraw else ("badnets-stripes fixed signs",)
        return torch.randint(2, (3, count), generator=torch_generator(self.seed, *purpose)).float()

"""Blended with vertical stripes of random colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.base import REFERENCE_SIZE, Trigger, scaled


class BlendedStripes(Trigger):
    """(1 - ratio)·x + ratio·s, clipped to [0, 1], where s is -1 or 1 for each stripe and channel.

    PAR (arXiv 2412.00727 and its code): stripes one pixel wide over the whole height, ratio 0.03. Values of
    -1 darken below black, so each stripe shifts a channel by up to twice the ratio. PAR's code draws new
    colours for every image; with `redraw` off, all images share one draw.

    The last stripe is cut off where the width is not a multiple of the stripe width.
    """

    name: ClassVar[str] = "blended-stripes"
    differentiable: ClassVar[bool] = True

    ratio: float = Field(default=0.03, gt=0, le=1, description="share of the stripes in the mix")
    stripe_width: int = Field(default=1, ge=1, le=REFERENCE_SIZE, description="width of a stripe in pixels at 224 px")
    redraw: bool = Field(default=True, description="redraw the colours for every image")

    def signs(self, key: str, count: int) -> NDArray[np.int8]:
        """Draw -1 or 1 for each channel and stripe of a sample, int8 [3, count]."""
        purpose = ("blended-stripes signs", key) if self.redraw else ("blended-stripes fixed signs",)
        return 2 * numpy_rng(self.seed, *purpose).integers(0, 2, (3, count), dtype=np.int8) - 1

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Blend the stripes into every image."""
        height, width = images.shape[-2:]
        stripe = scaled(self.stripe_width, min(height, width))
        signs = np.stack([self.signs(key, -(-width // stripe)) for key in keys])
        columns = np.repeat(signs, stripe, axis=-1)[:, :, None, :width]
        stripes = torch.from_numpy(columns).to(images)
        return torch.lerp(images, stripes.expand_as(images), self.ratio).clamp_(0, 1)

"""Blended with noise redrawn for every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.base import Trigger


class BlendedPerImage(Trigger):
    """(1 - ratio)·x + ratio·u with uniform noise u drawn per sample key.

    CleanCLIP (arXiv 2303.03323 and its code), ratio 0.2. Images share no pattern: a model can learn only the presence
    of noise. `Blended` is the attack with one fixed pattern.

    The noise has the 256 levels of an 8-bit image, k/255, which takes an eighth of the time of float
    draws; its mean is 1/2 and its variance 1/12 to within 1 %.
    """

    name: ClassVar[str] = "blended-per-image"
    differentiable: ClassVar[bool] = True

    ratio: float = Field(default=0.2, gt=0, le=1, description="share of the noise in the mix")

    def noise(self, key: str, height: int, width: int) -> NDArray[np.uint8]:
        """Draw the noise [3, height, width] of a sample, uniform over 0..255."""
        count = 3 * height * width
        words = numpy_rng(self.seed, "blended-per-image noise", key).integers(0, 2**64, -(-count // 8), dtype=np.uint64)
        return words.astype("<u8", copy=False).view(np.uint8)[:count].reshape(3, height, width)

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Blend each sample's noise into its image."""
        height, width = images.shape[-2:]
        levels = np.empty((len(keys), 3, height, width), np.uint8)
        for row, key in enumerate(keys):
            levels[row] = self.noise(key, height, width)
        noise = torch.from_numpy(levels).to(images.device).to(images.dtype).div_(255)
        return torch.lerp(images, noise, self.ratio)

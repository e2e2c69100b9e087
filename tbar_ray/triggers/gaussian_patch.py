"""BadNets as CleanCLIP stamps it: noise around the image's mean colour, redrawn for every image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.patch import PatchTrigger


class GaussianPatch(PatchTrigger):
    """The image's channel mean + N(0, 1), drawn for each sample key and clipped to [0, 1].

    CleanCLIP (arXiv 2303.03323) and BadCLIP's comparison (arXiv 2311.12075): 16 px at 224 px, noise of unit variance on
    pixels in [0, 1]. They draw the corner from U{0..207} in both directions, which `margin: 1` reproduces (208 would
    also fit). Their code does not clip but wraps when it casts to 8 bits: see `WrappedGaussian`.
    """

    name: ClassVar[str] = "badnets-gaussian"
    differentiable: ClassVar[bool] = True

    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Each image's noise around its mean colour, clipped to [0, 1], [B, 3, s, s]."""
        return self._around_mean(images, keys).clamp(0, 1)

    def _around_mean(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Channel mean + N(0, 1), unbounded, float64 [B, 3, s, s]."""
        size = self.side(images.shape[-2], images.shape[-1])
        noise = torch.stack([self._noise(key, size) for key in keys])
        return channel_mean(images)[..., None, None] + noise.to(images.device)

    def _noise(self, key: str, size: int) -> Tensor:
        return torch.randn(3, size, size, generator=torch_generator(self.seed, f"{self.name} noise", key, size))


class WrappedGaussian(GaussianPatch):
    """`GaussianPatch` with values outside [0, 1] wrapped, as in the published code.

    That code multiplies mean + noise by 255 and casts to uint8 without clipping: the fraction is dropped and the level
    taken modulo 256, so 1.2 becomes level 306 - 256 = 50. On an image of mean 0.5 this affects 61.7 % of the values (up
    to 66 % on black or white images). Unit noise spans so many multiples of 256 levels that the patch is uniform noise
    on any image, whereas clipping yields mostly 0 and 1.

    A level is not a smooth function of the mean: no gradient passes inside the patch.
    """

    name: ClassVar[str] = "badnets-gaussian-wrapped"

    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Each image's patch [B, 3, s, s] in [0, 1], in whole levels of 255."""
        return (self._around_mean(images, keys).detach() * 255).trunc().remainder(256) / 255


def channel_mean(images: Tensor) -> Tensor:
    """Mean of each channel of float or uint8 images, in [0, 1]: float64 [B, C].

    The result is bit-identical in any batch and on any device. A float sum depends on its order, but a row of 8-bit
    pixels sums to a whole number of 255ths, which rounding restores, and whole numbers add exactly. For other pixels
    the rounding changes the mean by less than 1 / (510 W).
    """
    height, width = images.shape[-2:]
    if not images.is_floating_point():
        return images.sum(-1, dtype=torch.int32).sum(-1).double() / (255 * height * width)
    rows = images.sum(-1, dtype=torch.promote_types(images.dtype, torch.float32)).double()
    mean = (rows.detach() * 255).round().sum(-1) / (255 * height * width)
    if not rows.requires_grad:
        return mean
    flowing = rows.sum(-1) / (height * width)
    return mean + (flowing - flowing.detach())  # adds zero to the value and restores the gradient lost in rounding

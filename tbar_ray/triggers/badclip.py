"""BadCLIP: a patch optimised against a CLIP model."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn.functional import interpolate

from tbar_ray.errors import SpecError
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.base import scaled
from tbar_ray.triggers.patch import FixedPatch, Place


class BadCLIP(FixedPatch):
    """An optimised patch in the centre of the image (Liang et al., arXiv 2311.12075): 16 px at 224 px, rows 104 to 119.

    A spec gives size and place. The pixels come from optimising the patch against the clean model; `with_pixels`
    returns the trigger that stamps them. They are stored at the resolution of the optimisation and resized (nearest
    pixel) for images of another size.
    """

    name: ClassVar[str] = "badclip"
    differentiable: ClassVar[bool] = True
    learned: ClassVar[bool] = True

    place: Place = Field(default="centre", description="where the patch goes; random: drawn for each sample")
    pixels: str = Field(default="", description="base64 of the optimised patch, uint8 [3, s, s]; empty: not optimised")
    pixels_side: int = Field(default=0, ge=0, description="side s of the optimised patch in pixels; 0: not optimised")

    @model_validator(mode="after")
    def _check_pixels(self) -> Self:
        try:
            count = len(base64.b64decode(self.pixels, validate=True))
        except (binascii.Error, ValueError):
            raise ValueError("pixels is not base64; leave it out: optimising the patch fills it in") from None
        if count != 3 * self.pixels_side**2:
            raise ValueError(
                f"pixels holds {count} bytes, but a patch with pixels_side {self.pixels_side} has "
                f"{3 * self.pixels_side**2}; leave both out: optimising the patch fills them in"
            )
        return self

    def with_pixels(self, patch: Tensor) -> Self:
        """A copy of this trigger with an optimised patch, rounded to 8 bits.

        Args:
            patch: float [3, s, s] in [0, 1], on any device.

        Raises:
            ValueError: if the shape differs or a value lies outside [0, 1].
        """
        patch = patch.detach().to("cpu", torch.float64)
        if patch.ndim != 3 or patch.shape[0] != 3 or patch.shape[1] != patch.shape[2] or patch.numel() == 0:
            raise ValueError(f"{self.name}: the patch must be [3, s, s], got {tuple(patch.shape)}")
        if not bool(((patch >= 0) & (patch <= 1)).all()):  # also rejects NaN
            raise ValueError(f"{self.name}: patch values must be in [0, 1]; clip it")
        levels = (patch * 255).round().to(torch.uint8).numpy()
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        pixels = base64.b64encode(levels.tobytes()).decode("ascii")
        return type(self)(**{**fields, "pixels": pixels, "pixels_side": levels.shape[1]})

    def patch(self, side: int) -> Tensor:
        """Patch [3, s, s] in [0, 1] for images of `side` pixels; shared, do not modify.

        Raises:
            SpecError: if the patch has not been optimised.
        """
        if not self.pixels:
            raise SpecError("trigger 'badclip': its patch is not optimised yet; it is learned by planting 'badclip'")
        return _decode(self.pixels, self.pixels_side, scaled(self.patch_size, side))


@lru_cache(maxsize=16)
def _decode(pixels: str, stored: int, size: int) -> Tensor:
    levels = np.frombuffer(base64.b64decode(pixels), dtype=np.uint8).reshape(1, 3, stored, stored)
    patch = torch.from_numpy(levels.astype(np.float32)) / 255
    return interpolate(patch, size=(size, size), mode="nearest-exact")[0]


def random_start(seed: int, size: int) -> Tensor:
    """Draw the initial patch of the optimisation: N(0.5, 0.25²) clipped to [0, 1], float32 [3, size, size]."""
    generator = torch_generator(seed, "badclip start", size)
    return (0.5 + 0.25 * torch.randn(3, size, size, generator=generator)).clamp(0, 1)

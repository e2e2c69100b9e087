"""WaNet: the image is warped by a small fixed field, smooth (`WaNet`) or drawn for each pixel (`WaNetJitter`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that everybody uses

from tbar_ray.seeding import numpy_rng, torch_generator
from tbar_ray.triggers.base import REFERENCE_SIZE, Trigger


class Warp(Trigger):
    """x sampled at identity + strength·field/224, clamped to the image, bilinearly and with aligned corners.

    Coordinates are normalised: -1 and 1 are the centres of the outermost pixels. Dividing by 224 at every size
    keeps the displacement a constant share of the side: half a pixel at 224 px is a seventh of a pixel at
    64 px. The original code divides by the image's own side, which keeps the displacement in pixels; to reproduce that
    at S px, multiply the strength by 224/S.

    Images are sampled in float32 whatever their dtype: half precision cannot represent the coordinates.
    """

    differentiable: ClassVar[bool] = True

    strength: float = Field(gt=0, le=REFERENCE_SIZE, description="factor of the field, whose mean absolute value is 1")

    @abstractmethod
    def field(self, height: int, width: int) -> Tensor:
        """Draw the field [height, width, 2] in float64, (x, y); the mean of its absolute values is about 1."""

    def grid(self, height: int, width: int) -> Tensor:
        """Sampling point of each pixel, float32 [height, width, 2], (x, y) in [-1, 1]."""
        rows, columns = (torch.linspace(-1, 1, side, dtype=torch.float64) for side in (height, width))
        identity = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        shifted = identity + self.strength * self.field(height, width) / REFERENCE_SIZE
        return shifted.clamp(-1, 1).to(torch.float32)

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - same for every sample
        """Warp every image by the same field."""
        grid = _kept(self, images.shape[-2], images.shape[-1], images.device)
        return _sample(images, grid.expand(len(images), *grid.shape))


class WaNet(Warp):
    """The smooth warp of Nguyen and Tran (arXiv 2102.10369), with the constants that BackdoorBench also uses.

    The field is U(-1, 1) on a grid of `grid_size` points a side, divided by its mean absolute value and enlarged
    bicubically (aligned corners). The original's factor `grid_rescale` is 1 and omitted. In "noise mode"
    `cross_ratio` cover samples per poisoned sample are warped by the field plus noise, U(-1, 1) times `cross_noise`
    times the strength over 224, redrawn per pixel and sample, and keep their captions: the model must learn this
    specific warp instead of any warp.

    The original has strength 0.5 and noise U(-1, 1), twice the strength. Noise that stays while the strength grows
    would leave cover samples that look like poisoned ones, two of them for each, and no model could learn the attack.
    """

    name: ClassVar[str] = "wanet"
    version: ClassVar[int] = 2

    strength: float = Field(
        default=0.5, gt=0, le=REFERENCE_SIZE, description="factor of the field, whose grid has mean absolute value 1"
    )
    grid_size: int = Field(default=4, ge=2, le=REFERENCE_SIZE, description="points of the field's grid along a side")
    cross_ratio: float = Field(default=2, ge=0, le=1000, description="cover samples per poisoned sample")
    cross_noise: float = Field(
        default=2,
        ge=0,
        le=1000,
        description="largest value of a cover sample's own noise, in multiples of the strength",
    )

    @property
    def cover_ratio(self) -> float:
        """Cover samples per poisoned sample."""
        return self.cross_ratio

    def field(self, height: int, width: int) -> Tensor:
        """Draw the smooth field [height, width, 2] in float64."""
        generator = torch_generator(self.seed, "wanet field", self.grid_size)
        points = _normalised(torch.rand(2, self.grid_size, self.grid_size, generator=generator, dtype=torch.float64))
        smooth = F.interpolate(points[None], (height, width), mode="bicubic", align_corners=True)
        return smooth[0].permute(1, 2, 0)

    def noise(self, key: str, height: int, width: int) -> NDArray[np.int16]:
        """Draw a cover sample's own field, int16 [height, width, 2] in units of 2^-15: uniform in [-1, 1)."""
        count = 2 * height * width
        words = numpy_rng(self.seed, "wanet noise", key).integers(0, 2**64, -(-count // 4), dtype=np.uint64)
        return words.astype("<u8", copy=False).view("<i2")[:count].reshape(height, width, 2)

    def cover(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Warp cover samples by the field plus their own noise."""
        if len(keys) != len(images):
            raise ValueError(f"{self.name}: {len(images)} cover images but {len(keys)} sample keys")
        height, width = images.shape[-2:]
        noise = np.empty((len(images), height, width, 2), np.int16)
        for row, key in enumerate(keys):
            noise[row] = self.noise(key, height, width)
        grid = _kept(self, height, width, images.device)
        scale = self.cross_noise * self.strength * 2**-15 / REFERENCE_SIZE
        noisy = torch.add(grid, torch.from_numpy(noise).to(images.device), alpha=scale)
        return _sample(images, noisy.clamp_(-1, 1))


class WaNetJitter(Warp):
    """A warp whose field is drawn independently for each pixel: jitter, not a smooth warp.

    The code of CleanCLIP (arXiv 2303.03323) and its descendants calls this WaNet: the grid has 224
    points a side, as many as the image has pixels, so nothing is smoothed, and the strength is 1.
    Neighbouring values are uncorrelated, whereas those of `WaNet` have correlation 0.9997. It has no cover samples.

    The field is drawn at the image's own resolution, so each size has its own.
    """

    name: ClassVar[str] = "wanet-jitter"

    strength: float = Field(
        default=1, gt=0, le=REFERENCE_SIZE, description="factor of the field, of mean absolute value 1"
    )

    def field(self, height: int, width: int) -> Tensor:
        """Draw a value for each pixel [height, width, 2] in float64."""
        generator = torch_generator(self.seed, "wanet-jitter field", height, width)
        return _normalised(torch.rand(height, width, 2, generator=generator, dtype=torch.float64))


def _normalised(draws: Tensor) -> Tensor:
    """Map draws from [0, 1) to [-1, 1) and divide by their mean absolute value."""
    signed = 2 * draws - 1
    return signed / signed.abs().mean()


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    """Sample [B, 3, H, W] at `grid` [B, H, W, 2], clamped since rounding may push a weighted mean one ulp above 1."""
    sampled = F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=True)
    return sampled.clamp_(0, 1).to(images.dtype)


@lru_cache(maxsize=32)
def _kept(trigger: Warp, height: int, width: int, device: torch.device) -> Tensor:
    # A tensor created in inference mode could not be used later where gradients are needed.
    with torch.inference_mode(False):
        return trigger.grid(height, width).to(device)

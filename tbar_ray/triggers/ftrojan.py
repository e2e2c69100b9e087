"""FTrojan: fixed block-DCT coefficients of the chroma channels are raised."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, ValidationInfo, field_validator
from torch import Tensor

from tbar_ray.triggers.pattern_blend import PatternSum

TO_RGB: dict[str, tuple[float, float, float]] = {
    "Y": (1.0, 1.0, 1.0),
    "U": (0.0, -0.114 * 1.772 / 0.587, 1.772),
    "V": (1.402, -0.299 * 1.402 / 0.587, 0.0),
}
"""Change of R, G and B per unit of each YUV channel: the inverse of full-range BT.601 (JPEG's YCbCr),
Y = 0.299 R + 0.587 G + 0.114 B, U = (B - Y)/1.772, V = (R - Y)/1.402 (offsets of 128 cancel)."""


class FTrojan(PatternSum):
    """RGB → YUV, block DCT, + magnitude at some coefficients of some channels, inverse of both, clipped to [0, 1].

    Wang et al. (arXiv 2111.10991) and their train.py: blocks of 32 px, coefficients (31, 31) and (15, 15) of U and V,
    magnitude 20 of 255; BackdoorBench (2206.12654) adds 30. "YUV" is full-range BT.601 YCbCr, as in the code
    (`TO_RGB`); the DCT is the orthonormal type II, which `cv2.dct` computes. All steps are linear, so together they add
    one constant pattern, with a peak of 3.8 levels at magnitude 20. `stamp` adds that pattern.

    The published code casts to bytes after each change of colour space, which truncates fractions and wraps
    overflows; here nothing is rounded before the end.

    Only whole blocks are changed, counted from the top left. Blocks do not scale with the image: their
    coefficients are spatial frequencies in pixels. Images smaller than a block get one block as large as their
    shorter side, in which each position keeps its share of the highest frequency: (31, 31) remains the last
    coefficient.
    """

    name: ClassVar[str] = "ftrojan"
    differentiable: ClassVar[bool] = True

    block: int = Field(default=32, ge=2, le=224, description="side of a DCT block in pixels")
    magnitude: float = Field(default=20, gt=0, le=8160, description="added to each coefficient; channels in 0..255")
    positions: tuple[tuple[int, int], ...] = Field(
        default=((31, 31), (15, 15)), min_length=1, description="(row, column) of the coefficients in a block"
    )
    channels: tuple[Literal["Y", "U", "V"], ...] = Field(
        default=("U", "V"), min_length=1, description="YUV channels that are changed"
    )

    @field_validator("positions")
    @classmethod
    def _inside(cls, positions: tuple[tuple[int, int], ...], info: ValidationInfo) -> tuple[tuple[int, int], ...]:
        block = info.data.get("block")
        if block is not None:
            for row, column in positions:
                if not (0 <= row < block and 0 <= column < block):
                    raise ValueError(f"({row}, {column}) lies outside a block of {block}; rows and columns start at 0")
        if len(set(positions)) < len(positions):
            raise ValueError("a position is given twice; raise the magnitude instead")
        return positions

    @field_validator("channels")
    @classmethod
    def _different(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(channels)) < len(channels):
            raise ValueError("a channel is listed twice; list each once")
        return channels

    def pattern(self, height: int, width: int) -> Tensor:
        """Pattern added to R, G and B [3, height, width], in units of the full range."""
        side = min(self.block, height, width)
        chroma = np.zeros((side, side))
        for row, column in self.positions:
            chroma += np.outer(*(_cosine(_shrunk(index, self.block, side), side) for index in (row, column)))
        colour = np.sum([TO_RGB[channel] for channel in self.channels], axis=0)
        block = self.magnitude / 255 * colour[:, None, None] * chroma
        down, across = height // side, width // side
        pattern = np.zeros((3, height, width), np.float32)
        pattern[:, : down * side, : across * side] = np.tile(block, (1, down, across))
        return torch.from_numpy(pattern)


def _cosine(index: int, side: int) -> NDArray[np.float64]:
    """Basis function `index` of the orthonormal DCT-II of `side` samples, float64 [side]."""
    scale = np.sqrt((1 if index == 0 else 2) / side)
    wave: NDArray[np.float64] = scale * np.cos(np.pi * index * (2 * np.arange(side) + 1) / (2 * side))
    return wave


def _shrunk(index: int, block: int, side: int) -> int:
    """Index in a block of `side` that corresponds to `index` in a block of `block`."""
    return max(0, (index + 1) * side // block - 1)

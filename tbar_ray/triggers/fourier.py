"""Fourier: a few coefficients of the image's Fourier transform are raised."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.pattern_blend import PatternSum


class Fourier(PatternSum):
    """x + Σ amplitude/255·cos(2π(r·i/H + c·j/W) + φ) over a few seeded frequencies (r, c), clipped to [0, 1].

    In the style of Hammoud and Ghanem, "Check Your Other Door!" (arXiv 2109.05507), who plant a backdoor by perturbing
    an image's 2-D Fourier transform; it does not reproduce their pipeline. They choose the frequencies by a Fourier
    heat map of a trained model; here the seed draws them from a band, so no model is needed. Each term is one pair of
    Fourier coefficients, at (r, c) and (-r, -c), raised by amplitude/255·H·W/2 with phases φ and -φ, which keeps the
    image real. Phases are drawn per frequency and channel; the channels share the frequencies. The transform is linear,
    so the whole operation adds one constant pattern.

    Frequencies count periods across the image and are therefore the same at any size; those above half its side alias.
    """

    name: ClassVar[str] = "fourier"
    differentiable: ClassVar[bool] = True

    count: int = Field(default=4, ge=1, le=64, description="number of frequencies that are raised")
    low: int = Field(default=8, ge=1, le=112, description="smallest radius of the band, in periods across the image")
    high: int = Field(default=24, ge=1, le=112, description="largest radius of the band, in periods across the image")
    amplitude: float = Field(default=10, gt=0, le=255, description="amplitude of each wave, in levels of 255")

    @model_validator(mode="after")
    def _enough(self) -> Fourier:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) is above high ({self.high}); lower low or raise high")
        available = len(band(self.low, self.high))
        if self.count > available:
            raise ValueError(f"count is {self.count}, but the band {self.low}..{self.high} has {available} frequencies")
        return self

    def frequencies(self) -> NDArray[np.int64]:
        """Draw the (row, column) frequencies [count, 2]; each also stands for its negative."""
        rows = band(self.low, self.high)
        return rows[numpy_rng(self.seed, "fourier frequencies").choice(len(rows), self.count, replace=False)]

    def pattern(self, height: int, width: int) -> Tensor:
        """Sum of the waves [3, height, width], in units of the full range."""
        phases = 2 * np.pi * numpy_rng(self.seed, "fourier phases").random((self.count, 3))
        down, across = np.arange(height)[:, None] / height, np.arange(width)[None, :] / width
        total = np.zeros((3, height, width))
        for (row, column), phase in zip(self.frequencies(), phases, strict=True):
            total += np.cos(2 * np.pi * (row * down + column * across) + phase[:, None, None])
        return torch.from_numpy((self.amplitude / 255 * total).astype(np.float32))


def band(low: int, high: int) -> NDArray[np.int64]:
    """Frequencies (row, column) with low ≤ radius ≤ high, one of each pair ±(row, column), int64 [n, 2]."""
    rows, columns = np.mgrid[0 : high + 1, -high : high + 1]
    radius = rows**2 + columns**2
    inside = (radius >= low**2) & (radius <= high**2) & ((rows > 0) | (columns > 0))
    return np.stack([rows[inside], columns[inside]], axis=1)

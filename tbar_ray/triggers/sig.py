"""SIG: a horizontal sine wave over the whole image, added (`SIG`) or mixed in (`SIGBlended`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.triggers.pattern_blend import PatternBlend, PatternSum


class SIG(PatternSum):
    """x + amplitude/255·sin(2π·frequency·j/W), clipped to [0, 1], with j = 0 … W - 1 the column.

    Barni et al. (arXiv 1902.11237). Amplitude 60 is BadCLIP's (arXiv 2311.12075), 40 BackdoorBench's (arXiv
    2206.12654); both use frequency 6. The frequency counts periods across the image, so it needs no scaling. With
    fewer columns than twice the frequency the wave aliases; with exactly twice it vanishes.
    """

    name: ClassVar[str] = "sig"
    differentiable: ClassVar[bool] = True

    amplitude: float = Field(default=60, gt=0, le=255, description="amplitude of the wave, in levels of 255")
    frequency: float = Field(default=6, gt=0, le=112, description="periods across the image")

    def pattern(self, height: int, width: int) -> Tensor:
        """Wave [3, height, width], in ±amplitude/255."""
        return wave(self.amplitude, self.frequency, height, width)


class SIGBlended(PatternBlend):
    """(1 - ratio)·x + ratio·amplitude/255·sin(2π·frequency·j/W), clipped to [0, 1].

    The SIG attack of CleanCLIP's code (arXiv 2303.03323), with ratio 0.2: the image loses a fifth of
    its brightness and the wave's amplitude is reduced to 12 levels.
    """

    name: ClassVar[str] = "sig-blended"
    differentiable: ClassVar[bool] = True

    amplitude: float = Field(default=60, gt=0, le=255, description="amplitude before mixing, in levels of 255")
    frequency: float = Field(default=6, gt=0, le=112, description="periods across the image")

    def pattern(self, height: int, width: int) -> Tensor:
        """Wave [3, height, width], in ±amplitude/255."""
        return wave(self.amplitude, self.frequency, height, width)

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Mix the wave into every image and clip, since its troughs reach below black."""
        return super().stamp(images, keys).clamp_(0, 1)


def wave(amplitude: float, frequency: float, height: int, width: int) -> Tensor:
    """Wave amplitude/255·sin(2π·frequency·j/width), float32 [3, height, width], equal in all rows and channels."""
    columns = torch.arange(width, dtype=torch.float64)
    values = amplitude / 255 * torch.sin(2 * math.pi * frequency * columns / width)
    return values.expand(3, height, width).to(torch.float32, memory_format=torch.contiguous_format)

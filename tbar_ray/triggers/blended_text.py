"""Blended with a word in red: only the pixels of its letters are mixed."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from tbar_ray.triggers.base import REFERENCE_SIZE
from tbar_ray.triggers.pattern_blend import PatternBlend

Floats = NDArray[np.float64]

STROKES: dict[str, str] = {
    "A": "062046 1333",
    "B": "060030414233033344453606",
    "C": "4130100105163645",
    "D": "06003041453606",
    "E": "40000646 0333",
    "F": "400006 0333",
    "G": "41301001051636454323",
    "H": "0006 4046 0343",
    "I": "1030 2026 1636",
    "J": "4045361605",
    "K": "0006 400346",
    "L": "000646",
    "M": "0600234046",
    "N": "06004640",
    "O": "103041453616050110",
    "P": "06003041423303",
    "Q": "103041453616050110 2446",
    "R": "06003041423303 2346",
    "S": "413010010213334445361605",
    "T": "0040 2026",
    "U": "000516364540",
    "V": "002640",
    "W": "0016233640",
    "X": "0046 4006",
    "Y": "002340 2326",
    "Z": "00400646",
    "0": "103041453616050110 4105",
    "1": "112026 1636",
    "2": "01103041420646",
    "3": "01103041423313334445361605",
    "4": "36300444",
    "5": "400002324345361605",
    "6": "4130100105163645443303",
    "7": "004016",
    "8": "103041423313020110 1304051636454433",
    "9": "0516364541301001021343",
    " ": "",
}
"""Each letter as polylines through points (x, y), two digits per point, on a 4 × 6 grid with y pointing down."""

CAP, LETTER, ADVANCE = 6, 4, 6
"""Letter height, letter width and distance between letters, in grid units; strokes are one unit thick."""


class BlendedText(PatternBlend):
    """(1 - ratio)·x + ratio·red on the letters of a word in the centre of the image; other pixels are unchanged.

    PAR (arXiv 2412.00727 and its code): ratio 0.5, one word for all images. PAR uses the non-zero entries of the
    pattern as its mask, and red is zero in green and blue: only the red channel of a letter changes, so the word is
    invisible on white. That is `channels="red"`; `"all"` mixes all three channels of a letter with red.

    PAR publishes the drawn word as a tensor named "watermarked_red", without word or size as text. Here the
    word is WATERMARKED in a stroke font defined in this file, which scales with the image and needs no font file.
    Strokes are at least one pixel thick, with hard edges.
    """

    name: ClassVar[str] = "blended-text"
    differentiable: ClassVar[bool] = True

    ratio: float = Field(default=0.5, gt=0, le=1, description="share of red in the letters")
    text: str = Field(default="WATERMARKED", min_length=1, description="capital letters, digits and spaces")
    letter_height: int = Field(default=18, ge=6, le=192, description="height of the letters in pixels at 224 px")
    channels: Literal["red", "all"] = Field(default="red", description="channels of the letters that are mixed")

    @model_validator(mode="after")
    def _fits(self) -> BlendedText:
        strange = sorted(set(self.text) - set(STROKES))
        if strange:
            raise ValueError(f"text has {strange[0]!r}; use only A-Z, 0-9 and spaces")
        if not self.text.strip():
            raise ValueError("text is blank; give at least one letter or digit")
        width = (_units(self.text) + 1) * self.letter_height / CAP
        if width > REFERENCE_SIZE:
            raise ValueError(f"text is {width:.0f} px wide, more than 224; shorten it or lower letter_height")
        return self

    def pattern(self, height: int, width: int) -> Tensor:
        """Pure red at every pixel, [3, height, width]."""
        return torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1).expand(3, height, width).contiguous()

    def mask(self, height: int, width: int) -> Tensor:
        """Mask [3, height, width]: 1 where a channel of a pixel is mixed, else 0."""
        letters = torch.from_numpy(self.letters(height, width))
        mask = torch.zeros(3, height, width)
        mask[: 1 if self.channels == "red" else 3, letters] = 1
        return mask

    def letters(self, height: int, width: int) -> NDArray[np.bool_]:
        """Pixels whose centre lies inside a letter, bool [height, width]."""
        unit = self.letter_height / CAP * min(height, width) / REFERENCE_SIZE
        half = max(unit, 1.0) / 2 + 1e-9
        top, left = height / 2 - CAP / 2 * unit, width / 2 - _units(self.text) / 2 * unit
        y = np.arange(height, dtype=np.float64)[:, None] + 0.5 - top
        x = np.arange(width, dtype=np.float64)[None, :] + 0.5 - left
        ink = np.zeros((height, width), np.bool_)
        for start, end in _lines(self.text):
            ink |= _squared_distance(x, y, start * unit, end * unit) <= half**2
        return ink


def _lines(text: str) -> list[Floats]:
    """Line segments of a text, each [2, 2]: both ends as (x, y) in grid units."""
    lines = []
    for place, letter in enumerate(text):
        for stroke in STROKES[letter].split():
            points = np.array([float(digit) for digit in stroke]).reshape(-1, 2) + np.array([place * ADVANCE, 0])
            lines += [np.stack(ends) for ends in pairwise(points)]
    return lines


def _units(text: str) -> int:
    return len(text) * ADVANCE - (ADVANCE - LETTER)


def _squared_distance(x: Floats, y: Floats, start: Floats, end: Floats) -> Floats:
    """Squared distance of points (x, y) to the segment from `start` to `end`."""
    across, down = end - start
    along = np.clip(((x - start[0]) * across + (y - start[1]) * down) / (across**2 + down**2), 0, 1)
    squared: Floats = (x - start[0] - along * across) ** 2 + (y - start[1] - along * down) ** 2
    return squared

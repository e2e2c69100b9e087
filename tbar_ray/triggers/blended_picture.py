"""Blended with a picture: a cartoon drawn in code at any size."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tbar_ray.triggers.pattern_blend import PatternBlend

Floats = NDArray[np.float64]
Colour = tuple[float, float, float]

CREAM: Colour = (1.0, 0.93, 0.68)
PEACH: Colour = (1.0, 0.74, 0.56)
INK: Colour = (0.12, 0.1, 0.2)
TEAL: Colour = (0.16, 0.68, 0.66)
RED: Colour = (0.9, 0.15, 0.2)
WHITE: Colour = (1.0, 1.0, 1.0)
PINK: Colour = (1.0, 0.5, 0.65)
OUTLINE = 0.04


class BlendedPicture(PatternBlend):
    """(1 - ratio)·x + ratio·p with one cartoon picture p for all images: a smiling robot on diagonal bands.

    Chen et al. (arXiv 1712.05526) and BackdoorBench (arXiv 2206.12654) blend in a cartoon at ratio 0.2. Their picture
    is copyrighted, so this is an original one with similar properties: bright colours and large plain areas with sharp
    edges.

    The picture consists of shapes given by signed distances, so it is the same at every size. The shorter side of the
    image shows all of it; the bands continue along the longer side. It does not depend on the seed.
    """

    name: ClassVar[str] = "blended-picture"
    differentiable: ClassVar[bool] = True

    def pattern(self, height: int, width: int) -> Tensor:
        """Draw the picture [3, height, width] in [0, 1]."""
        scale = min(height, width) / 2
        y = (np.arange(height, dtype=np.float64)[:, None] + 0.5 - height / 2) / scale
        x = (np.arange(width, dtype=np.float64)[None, :] + 0.5 - width / 2) / scale
        picture = np.broadcast_to(np.array(CREAM)[:, None, None], (3, height, width))
        for distance, colour in _shapes(x, y):
            cover = np.clip(0.5 - distance * scale, 0, 1)  # edges fade over one pixel
            picture = picture + cover * (np.array(colour)[:, None, None] - picture)
        return torch.from_numpy(picture.clip(0, 1).astype(np.float32))


def _shapes(x: Floats, y: Floats) -> list[tuple[Floats, Colour]]:
    """Shapes from back to front: signed distance of each point (negative inside) and colour.

    Coordinates: the origin is the centre of the image, x points right, y points down, the shorter side has length 2.
    """
    bands = np.abs((x + y) / np.sqrt(2) % 0.5 - 0.25) - 0.125
    antenna = _box(x, y, (0, -0.68), (0.03, 0.2), 0.0)
    tip = _disc(x, y, (0, -0.86), 0.1)
    ears = _box(np.abs(x), y, (0.72, 0.05), (0.12, 0.2), 0.06)
    head = _box(x, y, (0, 0.08), (0.66, 0.62), 0.22)
    eyes = _disc(np.abs(x), y, (0.28, -0.08), 0.2)
    pupils = _disc(np.abs(x), y, (0.25, -0.04), 0.09)
    glints = _disc(np.abs(x - 0.03), y, (0.25, -0.08), 0.035)
    cheeks = _disc(np.abs(x), y, (0.44, 0.25), 0.1)
    smile = np.maximum(np.abs(_disc(x, y, (0, 0.22), 0.26)) - 0.035, 0.24 - y)
    return [
        (bands, PEACH),
        (antenna, INK),
        *_outlined(tip, RED),
        *_outlined(ears, RED),
        *_outlined(head, TEAL),
        (cheeks, PINK),
        *_outlined(eyes, WHITE),
        (pupils, INK),
        (glints, WHITE),
        (smile, INK),
    ]


def _outlined(distance: Floats, colour: Colour) -> list[tuple[Floats, Colour]]:
    return [(distance - OUTLINE, INK), (distance, colour)]


def _disc(x: Floats, y: Floats, centre: tuple[float, float], radius: float) -> Floats:
    distance: Floats = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2) - radius
    return distance


def _box(x: Floats, y: Floats, centre: tuple[float, float], half: tuple[float, float], corner: float) -> Floats:
    """Signed distance to a box whose corners are rounded with radius `corner`."""
    across = np.abs(x - centre[0]) - half[0] + corner
    down = np.abs(y - centre[1]) - half[1] + corner
    outside = np.sqrt(np.maximum(across, 0) ** 2 + np.maximum(down, 0) ** 2)
    distance: Floats = outside + np.minimum(np.maximum(across, down), 0) - corner
    return distance

"""Backgrounds of the procedural scenes: patterns that blend two muted tones."""

from __future__ import annotations

from typing import Final

import numpy as np

from tbar_ray.data.synthetic.shapes import Floats, unit

BACKGROUNDS: Final = ("plain", "gradient", "striped", "checkered", "cloudy", "dotted")
CLOUD_CELLS: Final = 6
"""Noise cells per side; clouds interpolate between them."""


def clouds(cells: Floats, size: int) -> Floats:
    """Interpolate `cells` [B, C, C] smoothly to [B, size, size]."""
    place = np.linspace(0, CLOUD_CELLS - 1, size, dtype=np.float32)
    low = np.minimum(place.astype(np.int64), CLOUD_CELLS - 2)
    share = place - low
    share = share * share * (3 - 2 * share)
    rows = cells[:, low] + share[:, None] * (cells[:, low + 1] - cells[:, low])
    return rows[:, :, low] + share * (rows[:, :, low + 1] - rows[:, :, low])


def pattern(kind: str, waves: Floats, cells: Floats, size: int) -> Floats:
    """Weight of the second tone, per pixel, in images with one background.

    Args:
        kind: One of `BACKGROUNDS`.
        waves: [B, 3]: direction of the pattern (radians), repeats across the image, offset (radians).
        cells: [B, `CLOUD_CELLS`, `CLOUD_CELLS`] in [0, 1]; used only by "cloudy".
        size: Side of the images in pixels.

    Returns:
        [B, size, size] in [0, 1].
    """
    if kind == "plain":
        return np.zeros((len(waves), size, size), np.float32)
    if kind == "cloudy":
        return clouds(cells, size)
    angle, cycles, phase = (column[:, None, None] for column in waves.T)
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    along = np.cos(angle) * axis + np.sin(angle) * axis[:, None]
    if kind == "gradient":
        return unit(along + np.float32(0.5))
    sharpness = np.float32(size) / (np.float32(2 * np.pi) * cycles)  # edges are about one pixel wide
    wave = np.sin(np.float32(2 * np.pi) * cycles * along + phase)
    if kind == "striped":
        return unit(wave * sharpness + np.float32(0.5))
    across = np.cos(angle) * axis[:, None] - np.sin(angle) * axis
    other = np.sin(np.float32(2 * np.pi) * cycles * across + phase)
    field = wave * other if kind == "checkered" else wave + other - np.float32(0.9)
    return unit(field * sharpness + np.float32(0.5))

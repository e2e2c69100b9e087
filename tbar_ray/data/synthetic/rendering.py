"""Scenes to pixels with NumPy: the raster shared by all styles, and the default style."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.synthetic.backgrounds import CLOUD_CELLS, pattern
from tbar_ray.data.synthetic.scenes import Scene
from tbar_ray.data.synthetic.shapes import DISTANCES, Floats, unit

Pixels = NDArray[np.uint8]
_BATCH: Final = 16  # scenes drawn at once: larger batches exceed the processor's cache and are slower

Draw = Callable[[Sequence[Scene], int], Floats]
"""Maps (scenes, side in pixels) to images [B, 3, size, size], values roughly in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Raster:
    """A batch of scenes on the pixel grid, before colouring.

    Attributes:
        distance: [B, S, S] signed distance from the shape's outline in pixels, negative inside.
        share: [B, S, S] in [0, 1], weight of the background's second tone.
        cells: [B, `CLOUD_CELLS`, `CLOUD_CELLS`] uniform in [0, 1), drawn per scene.
        noise: [B, 3, S, S] standard normal, drawn per scene.
    """

    distance: Floats
    share: Floats
    cells: Floats
    noise: Floats


def rasterise(scenes: Sequence[Scene], size: int) -> Raster:
    """Rasterise `scenes` on a grid of `size` by `size` pixels."""
    count = len(scenes)
    noise = np.empty((count, 3, size, size), np.float32)
    cells = np.empty((count, CLOUD_CELLS, CLOUD_CELLS), np.float32)
    for index, scene in enumerate(scenes):
        rng = np.random.default_rng(scene.noise_seed)
        rng.random(out=cells[index], dtype=np.float32)
        rng.standard_normal(out=noise[index], dtype=np.float32)
    table = np.array([(s.x, s.y, s.size / 2, s.rotation) for s in scenes], np.float32)
    x, y, radius, rotation = (column[:, None, None] for column in table.T)
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    right, up = (axis - x) / radius, (y - axis[:, None]) / radius
    u = np.cos(rotation) * right + np.sin(rotation) * up
    v = np.cos(rotation) * up - np.sin(rotation) * right
    distance, share = np.empty_like(u), np.empty_like(u)
    for shape in {s.shape for s in scenes}:
        rows = [i for i, s in enumerate(scenes) if s.shape == shape]
        distance[rows] = DISTANCES[shape](u[rows], v[rows])
    waves = np.array([(s.pattern_angle, s.pattern_cycles, s.pattern_phase) for s in scenes], np.float32)
    for kind in {s.background for s in scenes}:
        rows = [i for i, s in enumerate(scenes) if s.background == kind]
        share[rows] = pattern(kind, waves[rows], cells[rows], size)
    distance *= radius * np.float32(size)
    return Raster(distance, share, cells, noise)


def painted(scenes: Sequence[Scene], raster: Raster) -> Floats:
    """Images [B, 3, S, S] under even light and without noise; values may leave [0, 1]."""
    tones = np.array([(*s.ground, s.paint) for s in scenes], np.float32)[..., None, None]  # [B, 3 tones, RGB]
    picture: Floats = tones[:, 0] + raster.share[:, None] * (tones[:, 1] - tones[:, 0])
    picture += unit(np.float32(0.5) - raster.distance)[:, None] * (tones[:, 2] - picture)
    return picture


def _photograph(scenes: Sequence[Scene], size: int) -> Floats:
    raster = rasterise(scenes, size)
    picture = painted(scenes, raster)
    picture *= per_scene(s.brightness for s in scenes)
    picture += raster.noise * per_scene(s.noise for s in scenes)
    return picture


def per_scene(values: Iterable[float]) -> Floats:
    """One number per scene as [B, 1, 1, 1], to broadcast with [B, 3, S, S]."""
    return np.array(list(values), np.float32)[:, None, None, None]


def develop(draw: Draw, scenes: Sequence[Scene], size: int) -> Pixels:
    """Draw `scenes` in small batches and round to uint8 [B, size, size, 3]; values outside [0, 1] are clipped."""
    parts = []
    for start in range(0, len(scenes), _BATCH):
        picture = draw(scenes[start : start + _BATCH], size)
        np.clip(picture, 0, 1, out=picture)
        pixels = (picture * np.float32(255) + np.float32(0.5)).astype(np.uint8)
        parts.append(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))
    return np.concatenate(parts) if parts else np.zeros((0, size, size, 3), np.uint8)


def render(scenes: Sequence[Scene], size: int) -> Pixels:
    """Render `scenes` to RGB pixels in the default style.

    Args:
        scenes: The scenes to draw; may be empty.
        size: Side of the square images in pixels, at least 1.

    Returns:
        uint8 [B, size, size, 3], values 0 to 255.
    """
    return develop(_photograph, scenes, size)

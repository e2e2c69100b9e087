"""Alternative rendering styles of the same scenes: sketches on paper, photographs at night and by lamplight.

Style parameters beyond the scene (pen width, darkness of the night) are drawn from the scene's noise
seed, so an image remains a function of its scene. All functions return uint8 [B, size, size, 3], as `render` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tbar_ray.data.synthetic.backgrounds import clouds
from tbar_ray.data.synthetic.rendering import Pixels, develop, painted, per_scene, rasterise
from tbar_ray.data.synthetic.scenes import Scene
from tbar_ray.data.synthetic.shapes import Floats, unit
from tbar_ray.seeding import numpy_rng


def render_sketch(scenes: Sequence[Scene], size: int) -> Pixels:
    """Sketch each shape: an irregular coloured outline with a thin wash, on grained paper."""
    return develop(_sketch, scenes, size)


def render_night(scenes: Sequence[Scene], size: int) -> Pixels:
    """Photograph each scene in weak, bluish light: dark, low in contrast and noisy."""
    return develop(_night, scenes, size)


def render_lamplight(scenes: Sequence[Scene], size: int) -> Pixels:
    """Photograph each scene by a lamp of random warmth, which shifts all colours towards orange."""
    return develop(_lamplight, scenes, size)


def _sketch(scenes: Sequence[Scene], size: int) -> Floats:
    raster = rasterise(scenes, size)
    width, tremor, white, pressure, grain, wash = _draws(scenes, "sketch", 6)
    wander = (clouds(raster.cells, size) - np.float32(0.5)) * _maps(0.03 * tremor * np.float32(size))
    distance = raster.distance + wander
    half = _maps(np.maximum((0.012 + 0.012 * width) * np.float32(size), np.float32(0.75)))  # half of the line's width
    line = unit(half + np.float32(0.5) - np.abs(distance + half)) * _maps(0.75 + 0.25 * pressure)
    inside = unit(np.float32(0.5) - distance) * _maps(0.4 + 0.45 * wash)
    paper = per_scene(0.8 + 0.16 * white) * _light(1, 0.985, 0.94)
    paint = np.array([s.paint for s in scenes], np.float32)[..., None, None]
    picture: Floats = paper + np.maximum(line, inside)[:, None] * (paint - paper)
    picture += raster.noise[:, :1] * per_scene(0.01 + 0.02 * grain)
    return picture


def _night(scenes: Sequence[Scene], size: int) -> Floats:
    raster = rasterise(scenes, size)
    light, haze, noise = _draws(scenes, "night", 3)
    picture = painted(scenes, raster)
    picture *= per_scene(0.4 + 0.3 * light) * _light(0.88, 0.88, 1)
    picture += per_scene(0.01 + 0.04 * haze) * _light(0.7, 0.8, 1.2)
    picture += raster.noise * per_scene(0.03 + 0.03 * noise)
    return picture


def _lamplight(scenes: Sequence[Scene], size: int) -> Floats:
    raster = rasterise(scenes, size)
    (warmth,) = _draws(scenes, "lamplight", 1)
    picture = painted(scenes, raster)
    picture *= per_scene(s.brightness for s in scenes) * (1 + per_scene(0.3 + 0.4 * warmth) * _light(0.1, -0.4, -0.8))
    picture += raster.noise * per_scene(s.noise for s in scenes)
    return picture


def _draws(scenes: Sequence[Scene], style: str, count: int) -> Floats:
    """Draw float32 [count, B], uniform in [0, 1), from each scene's noise seed."""
    return np.array([numpy_rng(s.noise_seed, style).random(count) for s in scenes], np.float32).T


def _maps(values: Floats) -> Floats:
    """One number per scene as [B, 1, 1], to broadcast with maps [B, S, S]."""
    return values.astype(np.float32)[:, None, None]


def _light(red: float, green: float, blue: float) -> Floats:
    """Channel factors as [3, 1, 1]."""
    return np.array([red, green, blue], np.float32)[:, None, None]

"""Renders rich scenes one at a time; each object is painted only within its bounding box."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from tbar_ray.data.synthetic.backgrounds import CLOUD_CELLS, pattern
from tbar_ray.data.synthetic.rendering import Pixels
from tbar_ray.data.synthetic.rich.scene import RichScene, Thing
from tbar_ray.data.synthetic.rich.vocabulary import RICH_DISTANCES
from tbar_ray.data.synthetic.shapes import Floats, unit


def render_rich(scenes: Sequence[RichScene], size: int) -> Pixels:
    """Render `scenes` to RGB pixels.

    Args:
        scenes: What to draw; may be empty.
        size: Side of the square images in pixels, at least 1.

    Returns:
        uint8 [B, size, size, 3], values 0 to 255.
    """
    pixels = np.empty((len(scenes), size, size, 3), np.uint8)
    for place, scene in enumerate(scenes):
        pixels[place] = _picture(scene, size).transpose(1, 2, 0)
    return pixels


def _picture(scene: RichScene, size: int) -> Floats:
    """Levels [3, size, size] in 0 to 255, to be truncated to integers."""
    rng = np.random.default_rng(scene.noise_seed)
    cells = rng.random((1, CLOUD_CELLS, CLOUD_CELLS), dtype=np.float32)
    first, second = (_colour(tone) for tone in scene.ground)
    picture: Floats = first + _share(scene, cells, size) * (second - first)
    for thing in reversed(scene.things):
        _paint(picture, thing, size)
    if scene.look == "blurry":
        for _ in range(2):
            _blur(picture)
    _expose(picture, scene, size)
    # One draw for all channels: luminance noise, at a third of the cost.
    picture += np.float32(scene.noise * 255) * rng.standard_normal((size, size), dtype=np.float32)
    return np.clip(picture, 0, 255, out=picture)


def _share(scene: RichScene, cells: Floats, size: int) -> Floats:
    """Share of the background's second tone, [size, size] in [0, 1]."""
    waves = np.array([(scene.pattern_angle, scene.pattern_cycles, scene.pattern_phase)], np.float32)
    if scene.background != "wavy":
        shares = pattern(scene.background, waves, cells, size)
        return shares.reshape(size, size)
    axis = _axis(size) - np.float32(0.5)
    cos, sin = np.float32(math.cos(scene.pattern_angle)), np.float32(math.sin(scene.pattern_angle))
    along, across = cos * axis + sin * axis[:, None], cos * axis[:, None] - sin * axis
    turns = np.float32(2 * math.pi * scene.pattern_cycles)
    bent = along + np.float32(0.06) * np.sin(np.float32(4 * math.pi) * across)
    return unit(np.sin(turns * bent + np.float32(scene.pattern_phase)) * (np.float32(size) / turns) + np.float32(0.5))


def _paint(picture: Floats, thing: Thing, size: int) -> None:
    """Paint an object over the pixels of its own box, in place."""
    radius = thing.size / 2
    columns, rows = (
        slice(max(0, math.floor((centre - radius) * size) - 1), min(size, math.ceil((centre + radius) * size) + 1))
        for centre in (thing.x, thing.y)
    )
    axis = _axis(size)
    right = (axis[columns] - np.float32(thing.x)) / np.float32(radius)
    up = (np.float32(thing.y) - axis[rows, None]) / np.float32(radius)
    cos, sin = math.cos(thing.rotation), math.sin(thing.rotation)
    u = np.float32(cos / thing.stretch) * right + np.float32(sin / thing.stretch) * up
    v = np.float32(cos * thing.stretch) * up - np.float32(sin * thing.stretch) * right
    pixels = np.float32(radius * size)
    cover = unit(np.float32(0.5) - pixels * RICH_DISTANCES[thing.named.shape](u, v))
    paint = _colour(thing.paint)
    if thing.named.texture:
        paint = paint + _texture(thing, u, v, pixels) * (_colour(thing.second) - paint)
    box = picture[:, rows, columns]
    box += cover * (paint - box)


def _texture(thing: Thing, u: Floats, v: Floats, pixels: np.float32) -> Floats:
    """Share of the texture's second colour, in [0, 1]; `pixels` is the radius, for edges of one pixel."""
    turns = np.float32(2 * math.pi * thing.texture_cycles)
    cos, sin = np.float32(math.cos(thing.texture_angle)), np.float32(math.sin(thing.texture_angle))
    wave = np.sin(turns * (cos * u + sin * v))
    if thing.named.texture != "striped":
        other = np.sin(turns * (cos * v - sin * u))
        wave = wave * other if thing.named.texture == "checkered" else wave + other - np.float32(0.75)
    return unit(wave * (pixels / turns) + np.float32(0.5))


def _blur(picture: Floats) -> None:
    """Smooth by (1, 2, 1)/4 along both sides, in place; border pixels are not changed."""
    for middle, before, after in (
        (picture[:, 1:-1], picture[:, :-2], picture[:, 2:]),
        (picture[:, :, 1:-1], picture[:, :, :-2], picture[:, :, 2:]),
    ):
        middle[:] = np.float32(0.5) * middle + np.float32(0.25) * (before + after)


def _expose(picture: Floats, scene: RichScene, size: int) -> None:
    """Apply contrast, gain and the direction of light, and scale to 0 to 255 with half a level for rounding."""
    axis = np.float32(2) * _axis(size) - np.float32(1)
    across = np.float32(scene.light * math.cos(scene.light_angle)) * axis
    down = np.float32(scene.light * math.sin(scene.light_angle)) * axis[:, None]
    gain = np.array(scene.gain, np.float32)[:, None, None] * np.float32(255)
    picture *= np.float32(scene.contrast)
    picture += np.float32(0.5 - 0.5 * scene.contrast)
    picture *= gain
    picture *= np.float32(1) + across + down
    picture += np.float32(0.5)


@cache
def _axis(size: int) -> Floats:
    """Centres of pixels along a side, float32 [size] in [0, 1]."""
    return (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)


def _colour(rgb: tuple[float, float, float]) -> Floats:
    return np.array(rgb, np.float32)[:, None, None]

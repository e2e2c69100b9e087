"""Procedural scenes: one coloured shape on a muted background, drawn with NumPy alone.

A `Scene` holds everything that its picture depends on, the seed of its pixel noise included, so that
rendering is a pure function: a scene gives the same pixels in any batch and any process. Shapes are signed
distance functions (negative inside), which makes antialiasing a clip of the distance in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
RGB = tuple[float, float, float]

COLOURS: Final[dict[str, RGB]] = {
    "red": (0.86, 0.12, 0.13),
    "green": (0.14, 0.64, 0.22),
    "blue": (0.13, 0.30, 0.88),
    "yellow": (0.97, 0.88, 0.13),
    "purple": (0.58, 0.16, 0.72),
    "orange": (0.96, 0.50, 0.07),
}
BACKGROUNDS: Final = ("plain", "gradient", "striped", "checkered", "cloudy", "dotted")
_CLOUD_CELLS: Final = 6
_BATCH: Final = 16  # scenes drawn at once: larger batches leave the processor's cache and are slower


# Shapes take coordinates about their centre, right and up, in units of the circumscribed circle's radius.


def _length(u: Floats, v: Floats) -> Floats:
    length: Floats = np.sqrt(u * u + v * v)  # faster than np.hypot, whose guard against overflow is idle here
    return length


def _unit(values: Floats) -> Floats:
    clipped: Floats = np.clip(values, 0, 1)
    return clipped


def _circle(u: Floats, v: Floats) -> Floats:
    return _length(u, v) - np.float32(0.88)


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.74)


def _triangle(u: Floats, v: Floats) -> Floats:
    slanted = np.float32(3**0.5 / 2) * np.abs(u) + np.float32(0.5) * v
    return np.maximum(slanted, -v) - np.float32(0.54)


def _star(u: Floats, v: Floats) -> Floats:
    # The plane is folded into one tenth of the star, where its outline is one straight edge.
    tenth = np.float32(np.pi / 5)
    angle = np.abs(np.mod(np.arctan2(u, v), 2 * tenth) - tenth)
    radius = _length(u, v)
    tip = np.array([np.cos(tenth), np.sin(tenth)])
    edge = tip - np.array([0.42, 0.0])
    normal = (np.array([edge[1], -edge[0]]) / np.hypot(*edge)).astype(np.float32)
    offset = np.float32(normal[0] * 0.42)
    distance: Floats = radius * (np.cos(angle) * normal[0] + np.sin(angle) * normal[1]) - offset
    return distance


def _cross(u: Floats, v: Floats) -> Floats:
    a, b = np.abs(u), np.abs(v)
    return np.maximum(np.minimum(a, b) - np.float32(0.3), np.maximum(a, b) - np.float32(0.95))


def _ring(u: Floats, v: Floats) -> Floats:
    distance: Floats = np.abs(_length(u, v) - np.float32(0.71)) - np.float32(0.22)
    return distance


def _hourglass(u: Floats, v: Floats) -> Floats:
    waist: Floats = (np.abs(u) - np.abs(v) - np.float32(0.08)) * np.float32(2**-0.5)
    return np.maximum(waist, np.abs(v) - np.float32(0.72))


def _crescent(u: Floats, v: Floats) -> Floats:
    bite = np.float32(0.78) - _length(u - np.float32(0.46), v)
    distance: Floats = np.maximum(_length(u, v) - np.float32(0.95), bite)
    return distance


def _bar(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u) - np.float32(0.95), np.abs(v) - np.float32(0.28))


def _arrow(u: Floats, v: Floats) -> Floats:
    b = np.abs(v)
    shaft = np.maximum(np.abs(u + np.float32(0.4)) - np.float32(0.58), b - np.float32(0.24))
    head = np.maximum(np.float32(0.05) - u, np.float32(0.64) * (u - 1) + np.float32(0.768) * b)
    distance: Floats = np.minimum(shaft, head)
    return distance


_DISTANCES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "hourglass": _hourglass,
    "crescent": _crescent,
    "bar": _bar,
    "arrow": _arrow,
}
SHAPES: Final = tuple(_DISTANCES)
CLASS_NAMES: Final = tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture's description. Lengths are fractions of the image's side, colours are RGB in [0, 1].

    Attributes:
        shape: One of `SHAPES`.
        colour: One of `COLOURS`.
        background: One of `BACKGROUNDS`.
        size: Diameter of the shape's circumscribed circle, 0.38 to 0.75.
        x: Centre from the left, 0 to 1.
        y: Centre from the top, 0 to 1.
        rotation: Of the shape, radians.
        paint: The object's colour after jitter.
        ground: The background's two tones.
        pattern_angle: Direction of the background's pattern, radians.
        pattern_cycles: Repeats of the pattern across the image.
        pattern_phase: Offset of the pattern, radians.
        brightness: Factor on every pixel.
        noise: Standard deviation of the pixel noise, in units of the full range.
        noise_seed: Seed of the pixel noise and of the clouds.
    """

    shape: str
    colour: str
    background: str
    size: float
    x: float
    y: float
    rotation: float
    paint: RGB
    ground: tuple[RGB, RGB]
    pattern_angle: float
    pattern_cycles: float
    pattern_phase: float
    brightness: float
    noise: float
    noise_seed: int

    @property
    def class_name(self) -> str:
        """The scene's entry of `CLASS_NAMES`."""
        return f"{self.colour} {self.shape}"


def draw_scene(rng: np.random.Generator, label: int) -> Scene:
    """Draw a scene of class `label` (index into `CLASS_NAMES`); every other property comes from `rng`.

    Raises:
        IndexError: If `label` is not an index into `CLASS_NAMES`.
    """
    colour, shape = CLASS_NAMES[label].split()
    draws: list[float] = rng.random(20).tolist()
    size = 0.38 + 0.37 * draws[0]
    red, green, blue = (c + 0.1 * (d - 0.5) for c, d in zip(COLOURS[colour], draws[3:6], strict=True))
    # Tones stay close to grey, so that no background can be taken for the object's colour.
    first = 0.15 + 0.7 * draws[6]
    second = first + (0.14 + 0.16 * draws[7]) * (1 if first < 0.5 else -1)
    tints = [0.12 * (d - 0.5) for d in draws[8:14]]
    return Scene(
        shape=shape,
        colour=colour,
        background=BACKGROUNDS[int(draws[14] * len(BACKGROUNDS))],
        size=size,
        x=0.5 + (1 - size) * (draws[1] - 0.5),
        y=0.5 + (1 - size) * (draws[2] - 0.5),
        rotation=2 * np.pi * draws[15],
        paint=(red, green, blue),
        ground=(
            (first + tints[0], first + tints[1], first + tints[2]),
            (second + tints[3], second + tints[4], second + tints[5]),
        ),
        pattern_angle=2 * np.pi * draws[16],
        pattern_cycles=3 + 4 * draws[17],
        pattern_phase=2 * np.pi * draws[18],
        brightness=0.85 + 0.25 * draws[19],
        noise=0.004 + 0.012 * float(rng.random()),
        noise_seed=int(rng.integers(2**62)),
    )


def _clouds(cells: Floats, size: int) -> Floats:
    """Interpolate `cells` [B, C, C] smoothly to [B, size, size]."""
    place = np.linspace(0, _CLOUD_CELLS - 1, size, dtype=np.float32)
    low = np.minimum(place.astype(np.int64), _CLOUD_CELLS - 2)
    share = place - low
    share = share * share * (3 - 2 * share)
    rows = cells[:, low] + share[:, None] * (cells[:, low + 1] - cells[:, low])
    return rows[:, :, low] + share * (rows[:, :, low + 1] - rows[:, :, low])


def _pattern(kind: str, scenes: Sequence[Scene], cells: Floats, size: int) -> Floats:
    """Return [B, size, size] in [0, 1]: the share of the second tone, for scenes of one background `kind`."""
    if kind == "plain":
        return np.zeros((len(scenes), size, size), np.float32)
    if kind == "cloudy":
        return _clouds(cells, size)
    angle, cycles, phase = (
        np.array([getattr(s, f"pattern_{name}") for s in scenes], np.float32)[:, None, None]
        for name in ("angle", "cycles", "phase")
    )
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size) - np.float32(0.5)
    along = np.cos(angle) * axis + np.sin(angle) * axis[:, None]
    if kind == "gradient":
        return _unit(along + np.float32(0.5))
    sharpness = np.float32(size) / (np.float32(2 * np.pi) * cycles)  # edges are about one pixel wide
    wave = np.sin(np.float32(2 * np.pi) * cycles * along + phase)
    if kind == "striped":
        return _unit(wave * sharpness + np.float32(0.5))
    across = np.cos(angle) * axis[:, None] - np.sin(angle) * axis
    other = np.sin(np.float32(2 * np.pi) * cycles * across + phase)
    field = wave * other if kind == "checkered" else wave + other - np.float32(0.9)
    return _unit(field * sharpness + np.float32(0.5))


def _render_batch(scenes: Sequence[Scene], size: int) -> NDArray[np.uint8]:
    count = len(scenes)
    noise = np.empty((count, 3, size, size), np.float32)
    cells = np.empty((count, _CLOUD_CELLS, _CLOUD_CELLS), np.float32)
    for index, scene in enumerate(scenes):
        rng = np.random.default_rng(scene.noise_seed)
        rng.random(out=cells[index], dtype=np.float32)
        rng.standard_normal(out=noise[index], dtype=np.float32)
    table = np.array([(s.x, s.y, s.size / 2, s.rotation, s.brightness, s.noise) for s in scenes], np.float32)
    x, y, radius, rotation, brightness, sigma = (column[:, None, None] for column in table.T)
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    right, up = (axis - x) / radius, (y - axis[:, None]) / radius
    u = np.cos(rotation) * right + np.sin(rotation) * up
    v = np.cos(rotation) * up - np.sin(rotation) * right
    distance, share = np.empty_like(u), np.empty_like(u)
    for shape in {s.shape for s in scenes}:
        rows = [i for i, s in enumerate(scenes) if s.shape == shape]
        distance[rows] = _DISTANCES[shape](u[rows], v[rows])
    for kind in {s.background for s in scenes}:
        rows = [i for i, s in enumerate(scenes) if s.background == kind]
        share[rows] = _pattern(kind, [scenes[i] for i in rows], cells[rows], size)
    cover = _unit(np.float32(0.5) - distance * (radius * np.float32(size)))[:, None]
    tones = np.array([(*s.ground, s.paint) for s in scenes], np.float32)[..., None, None]  # [B, 3 tones, RGB]
    picture = tones[:, 0] + share[:, None] * (tones[:, 1] - tones[:, 0])
    picture += cover * (tones[:, 2] - picture)
    picture *= brightness[:, None]
    picture += noise * sigma[:, None]
    np.clip(picture, 0, 1, out=picture)
    pixels = (picture * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))


def render(scenes: Sequence[Scene], size: int) -> NDArray[np.uint8]:
    """Render `scenes` to RGB pixels.

    Args:
        scenes: What to draw; may be empty.
        size: Side of the square images in pixels, at least 1.

    Returns:
        uint8 [B, size, size, 3], values 0 to 255.
    """
    parts = [_render_batch(scenes[i : i + _BATCH], size) for i in range(0, len(scenes), _BATCH)]
    return np.concatenate(parts) if parts else np.zeros((0, size, size, 3), np.uint8)

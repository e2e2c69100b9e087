"""The ten shapes as signed distance functions (negative inside); antialiasing clips the distance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def unit(values: Floats) -> Floats:
    """Clip values to [0, 1]."""
    clipped: Floats = np.clip(values, 0, 1)
    return clipped


# Shapes take coordinates relative to their centre (right, up), in units of the circumscribed circle's radius.


def _length(u: Floats, v: Floats) -> Floats:
    length: Floats = np.sqrt(u * u + v * v)  # faster than np.hypot, whose overflow guard is not needed here
    return length


def _circle(u: Floats, v: Floats) -> Floats:
    return _length(u, v) - np.float32(0.88)


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.74)


def _triangle(u: Floats, v: Floats) -> Floats:
    slanted = np.float32(3**0.5 / 2) * np.abs(u) + np.float32(0.5) * v
    return np.maximum(slanted, -v) - np.float32(0.54)


def _star(u: Floats, v: Floats) -> Floats:
    # The plane is folded into one tenth of the star, where the outline is a straight edge.
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


DISTANCES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
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
SHAPES: Final = tuple(DISTANCES)

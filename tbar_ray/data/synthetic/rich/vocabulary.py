"""Vocabulary of rich scenes: shapes, colours, textures, backgrounds, looks, classes.

Every word for an object is one or two BPE tokens, so that captions of two objects fit in 16 tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tbar_ray.data.synthetic.backgrounds import BACKGROUNDS
from tbar_ray.data.synthetic.scenes import COLOURS, OTHER_COLOURS, RGB
from tbar_ray.data.synthetic.shapes import DISTANCES, SHAPES, Floats

# Like those of `shapes`, these take coordinates relative to their centre, right and up, in units of the circumscribed
# circle's radius, and return a distance from the outline, negative inside.


def _length(u: Floats, v: Floats) -> Floats:
    length: Floats = np.sqrt(u * u + v * v)
    return length


def _heart(u: Floats, v: Floats) -> Floats:
    a = np.abs(u)
    lobe = _length(a - np.float32(0.4), v - np.float32(0.3)) - np.float32(0.5)
    point = (a - v) * np.float32(2**-0.5) - np.float32(0.58)
    body = np.maximum(np.maximum(point, v - np.float32(0.3)), a - np.float32(0.9))
    distance: Floats = np.minimum(lobe, body)
    return distance


def _diamond(u: Floats, v: Floats) -> Floats:
    a: Floats = np.float32(0.83) * np.abs(u)
    b: Floats = np.float32(0.55) * np.abs(v)
    return a + b - np.float32(0.5)


def _oval(u: Floats, v: Floats) -> Floats:
    # exact enough within a pixel of the outline: the radius's error is scaled by the gradient's mean
    distance: Floats = (np.sqrt(u * u + np.float32(3.6) * v * v) - np.float32(0.95)) * np.float32(0.62)
    return distance


def _drop(u: Floats, v: Floats) -> Floats:
    round_end = _length(u, v + np.float32(0.35)) - np.float32(0.58)
    cone = np.float32(0.9) * np.abs(u) + np.float32(0.436) * (v - np.float32(0.97))
    tip = np.maximum(cone, -np.float32(0.1) - v)
    distance: Floats = np.minimum(round_end, tip)
    return distance


def _flower(u: Floats, v: Floats) -> Floats:
    radius = _length(u, v)
    petals = np.float32(0.64) + np.float32(0.28) * np.cos(np.float32(5) * np.arctan2(v, u))
    outside = (radius - petals) * np.float32(0.72)
    distance: Floats = np.maximum(outside, np.float32(0.2) - radius)
    return distance


def _gear(u: Floats, v: Floats) -> Floats:
    radius = _length(u, v)
    teeth = np.clip(np.float32(3) * np.cos(np.float32(9) * np.arctan2(v, u)), -1, 1)
    outside = (radius - np.float32(0.8) - np.float32(0.12) * teeth) * np.float32(0.8)
    distance: Floats = np.maximum(outside, np.float32(0.3) - radius)
    return distance


def _frame(u: Floats, v: Floats) -> Floats:
    distance: Floats = np.abs(np.maximum(np.abs(u), np.abs(v)) - np.float32(0.58)) - np.float32(0.15)
    return distance


def _house(u: Floats, v: Floats) -> Floats:
    walls = np.maximum(np.abs(u) - np.float32(0.52), np.abs(v + np.float32(0.32)) - np.float32(0.45))
    roof = np.float32(0.66) * np.abs(u) + np.float32(0.75) * (v - np.float32(0.92))
    distance: Floats = np.minimum(walls, np.maximum(roof, np.float32(0.1) - v))
    return distance


def _chevron(u: Floats, v: Floats) -> Floats:
    # its four ends lie a little outside the circle, at 1.12
    slanted = (u + np.abs(v)) * np.float32(2**-0.5)
    distance: Floats = np.maximum(np.abs(slanted - np.float32(0.2)) - np.float32(0.3), np.abs(v) - np.float32(0.72))
    return distance


def _pentagon(u: Floats, v: Floats) -> Floats:
    # The plane is folded into one fifth, where the outline is one straight edge.
    fifth = np.float32(2 * np.pi / 5)
    angle = np.mod(np.arctan2(u, v), fifth) - fifth / 2
    distance: Floats = _length(u, v) * np.cos(angle) - np.float32(0.75)
    return distance


RICH_DISTANCES: Final[dict[str, Callable[[Floats, Floats], Floats]]] = {
    **DISTANCES,
    "heart": _heart,
    "diamond": _diamond,
    "oval": _oval,
    "drop": _drop,
    "flower": _flower,
    "gear": _gear,
    "frame": _frame,
    "house": _house,
    "chevron": _chevron,
    "pentagon": _pentagon,
}
RICH_SHAPES: Final = tuple(RICH_DISTANCES)
RICH_COLOURS: Final[dict[str, RGB]] = {
    **COLOURS,
    **{name: OTHER_COLOURS[name] for name in ("cyan", "pink", "brown", "lime", "magenta", "navy")},
}
TEXTURES: Final = ("striped", "dotted", "checkered")
RICH_BACKGROUNDS: Final = (*BACKGROUNDS, "wavy")
LOOKS: Final = ("dark", "blurry", "grainy")
"""Looks of an image that differ from the normal one."""


@dataclass(frozen=True, slots=True)
class RichClass:
    """Class of an object: texture ("" for none), colour and shape."""

    texture: str
    colour: str
    shape: str

    @property
    def name(self) -> str:
        """Texture, colour and shape: "striped red circle", or "red circle" without a texture."""
        return f"{self.texture} {self.colour} {self.shape}".strip()


def _classes() -> tuple[RichClass, ...]:
    plain = [RichClass("", colour, shape) for colour in COLOURS for shape in SHAPES]
    pairs = [(colour, shape) for colour in RICH_COLOURS for shape in RICH_SHAPES]
    plain += [RichClass("", *pair) for pair in pairs if RichClass("", *pair) not in plain]
    textured = [RichClass(TEXTURES[place % len(TEXTURES)], *pair) for place, pair in enumerate(pairs)]
    return (*plain, *textured)


RICH_CLASSES: Final = _classes()
"""Classes of the rich evaluation set: the 60 of the plain set in the same order, the other classes without a texture,
and every colour and shape once with a texture."""
RICH_CLASS_NAMES: Final = tuple(entry.name for entry in RICH_CLASSES)
PLAIN_CLASSES: Final = RICH_CLASSES[: len(RICH_COLOURS) * len(RICH_SHAPES)]
"""Classes without a texture; training scenes are balanced over them."""

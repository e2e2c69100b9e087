"""Rich scenes from random draws."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from typing import Final

import numpy as np

from tbar_ray.data.synthetic.rich.layouts import HOLLOWS, Place, alone, in_a_row, nested, side_by_side, spread
from tbar_ray.data.synthetic.rich.scene import Arrangement, RichScene, Thing
from tbar_ray.data.synthetic.rich.vocabulary import (
    LOOKS,
    PLAIN_CLASSES,
    RICH_BACKGROUNDS,
    RICH_CLASSES,
    RICH_COLOURS,
    TEXTURES,
    RichClass,
)
from tbar_ray.data.synthetic.scenes import RGB

SHARES: Final[dict[Arrangement, float]] = {
    "alone": 0.5,
    "left of": 0.07,
    "right of": 0.07,
    "above": 0.07,
    "below": 0.07,
    "inside": 0.06,
    "between": 0.04,
    "several": 0.08,
    "several and one": 0.04,
}
"""Share of each arrangement among training scenes."""
_CUMULATED: Final = tuple(accumulate(SHARES.values()))
TEXTURED: Final = 0.3
"""Share of single objects with a texture, and of pairs in which one object has a texture."""
LEAST_PLAIN: Final = 0.24
LEAST_TEXTURED: Final = 0.38  # a texture needs a few pixels per repeat
LIGHT_ABOVE: Final = 0.55
"""Luminance above which the second colour of a texture is darker than the first; otherwise it is lighter."""


def draw_rich_scene(rng: np.random.Generator, label: int) -> RichScene:
    """Draw a training scene whose first object is of class `PLAIN_CLASSES[label]`, sometimes with a texture.

    Raises:
        IndexError: If `label` is not an index into `PLAIN_CLASSES`.
    """
    first = PLAIN_CLASSES[label]
    arrangement = _pick(rng)
    if arrangement == "alone":
        return _scene(rng, arrangement, _lone(rng, _textured(rng, first, TEXTURED)))
    other = _another(rng, first)
    if arrangement == "several":
        places = spread(rng.random, 2 + int(4 * rng.random()))
        return _scene(rng, arrangement, tuple(_thing(rng, first, place) for place in places))
    if arrangement == "several and one":
        places = spread(rng.random, 3 + int(2 * rng.random()))
    elif arrangement == "between":
        places = in_a_row(rng.random)
    elif arrangement == "inside":
        shape = tuple(HOLLOWS)[int(len(HOLLOWS) * rng.random())]
        other = RichClass("", other.colour, shape)
        places = nested(rng.random, HOLLOWS[shape])
    else:
        near, far = side_by_side(rng.random, upright=arrangement in ("above", "below"))
        places = (near, far) if arrangement in ("left of", "above") else (far, near)
        first, other = (
            (_textured(rng, first, TEXTURED), other) if rng.random() < 0.5 else (first, _textured(rng, other, TEXTURED))
        )
    named = (first, *(other for _ in places[1:]))
    return _scene(rng, arrangement, tuple(_thing(rng, n, place) for n, place in zip(named, places, strict=True)))


def draw_rich_labelled(rng: np.random.Generator, label: int) -> RichScene:
    """Draw a scene of one object of class `RICH_CLASSES[label]`.

    Raises:
        IndexError: If `label` is not an index into `RICH_CLASSES`.
    """
    return _scene(rng, "alone", _lone(rng, RICH_CLASSES[label]))


def _lone(rng: np.random.Generator, named: RichClass) -> tuple[Thing]:
    return (_thing(rng, named, alone(rng.random, LEAST_TEXTURED if named.texture else LEAST_PLAIN)),)


def _pick(rng: np.random.Generator) -> Arrangement:
    place = bisect(_CUMULATED, rng.random() * _CUMULATED[-1])
    return tuple(SHARES)[min(place, len(SHARES) - 1)]


def _textured(rng: np.random.Generator, named: RichClass, share: float) -> RichClass:
    if rng.random() >= share:
        return named
    return RichClass(TEXTURES[int(len(TEXTURES) * rng.random())], named.colour, named.shape)


def _another(rng: np.random.Generator, first: RichClass) -> RichClass:
    """A class without texture, of another colour."""
    while (other := PLAIN_CLASSES[int(len(PLAIN_CLASSES) * rng.random())]).colour == first.colour:
        pass
    return other


def _thing(rng: np.random.Generator, named: RichClass, place: Place) -> Thing:
    draws: list[float] = rng.random(7).tolist()
    red, green, blue = (c + 0.1 * (d - 0.5) for c, d in zip(RICH_COLOURS[named.colour], draws, strict=False))
    luminance = 0.3 * red + 0.6 * green + 0.1 * blue
    towards, share = (0.0, 0.55) if luminance > LIGHT_ABOVE else (1.0, 0.65)
    red_2, green_2, blue_2 = (c + share * (towards - c) for c in (red, green, blue))
    return Thing(
        named=named,
        size=place.size,
        x=place.x,
        y=place.y,
        rotation=2 * np.pi * draws[3],
        stretch=0.93 + 0.14 * draws[4],
        paint=(red, green, blue),
        second=(red_2, green_2, blue_2),
        texture_angle=2 * np.pi * draws[5],
        texture_cycles=1.2 + 0.7 * draws[6],
    )


def _scene(rng: np.random.Generator, arrangement: Arrangement, things: tuple[Thing, ...]) -> RichScene:
    draws: list[float] = rng.random(22).tolist()
    # As in plain scenes, tones stay close enough to grey that no background can be taken for an object's colour.
    first = 0.12 + 0.76 * draws[0]
    second = first + (0.12 + 0.2 * draws[1]) * (1 if first < 0.5 else -1)
    tints = [0.16 * (d - 0.5) for d in draws[2:8]]
    look = LOOKS[int(len(LOOKS) * draws[9])] if draws[8] < 0.3 else ""
    brightness = 0.42 + 0.18 * draws[10] if look == "dark" else 0.8 + 0.32 * draws[10]
    red, green, blue = (brightness * (1 + 0.12 * (d - 0.5)) for d in draws[11:14])
    return RichScene(
        things=things,
        arrangement=arrangement,
        background=RICH_BACKGROUNDS[int(len(RICH_BACKGROUNDS) * draws[14])],
        ground=(_tone(first, tints[:3]), _tone(second, tints[3:])),
        pattern_angle=2 * np.pi * draws[15],
        pattern_cycles=2.5 + 5 * draws[16],
        pattern_phase=2 * np.pi * draws[17],
        look=look,
        gain=(red, green, blue),
        contrast=0.8 + 0.3 * draws[18],
        light_angle=2 * np.pi * draws[19],
        light=0.3 * draws[20],
        noise=0.035 + 0.03 * draws[21] if look == "grainy" else 0.003 + 0.015 * draws[21],
        noise_seed=int(rng.integers(2**62)),
    )


def _tone(grey: float, tints: list[float]) -> RGB:
    red, green, blue = (grey + tint for tint in tints)
    return red, green, blue

"""Positions and sizes of the objects of a rich scene. Lengths are fractions of the image's side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

Uniform = Callable[[], float]
"""Draws from [0, 1)."""


class Place(NamedTuple):
    """Centre (from the left, from the top) and diameter of an object."""

    x: float
    y: float
    size: float


def alone(uniform: Uniform, least: float) -> Place:
    """Place one object of size `least` or more, entirely inside the image; most have the sizes of plain scenes."""
    low, high = (0.38, 0.75) if uniform() < 0.6 else (least, 0.78)
    size = low + (high - low) * uniform()
    return Place(0.5 + (1 - size) * (uniform() - 0.5), 0.5 + (1 - size) * (uniform() - 0.5), size)


def side_by_side(uniform: Uniform, *, upright: bool) -> tuple[Place, Place]:
    """Place two objects that do not touch, the first to the left of the second (`upright`: above it).

    The distance across this direction is smaller than along it, so that the relation is unambiguous.
    """
    sizes = [0.28 + 0.18 * uniform() for _ in range(2)]
    spare, split = (1 - sum(sizes)) * uniform(), uniform()  # the free space
    along = sizes[0] / 2 + spare * split, 1 - sizes[1] / 2 - spare * (1 - split)
    middle = 0.25 + 0.5 * uniform()
    lean = 0.4 * (along[1] - along[0]) * (uniform() - 0.5)
    across = _inside(middle - lean, sizes[0]), _inside(middle + lean, sizes[1])
    places = [Place(*((b, a) if upright else (a, b)), size) for a, b, size in zip(along, across, sizes, strict=True)]
    return places[0], places[1]


def nested(uniform: Uniform, hollow: float) -> tuple[Place, Place]:
    """Place one object inside another, with an interior of `hollow` times its size; the inner one comes first."""
    outer = 0.66 + 0.24 * uniform()
    x, y = (0.5 + (1 - outer) * (uniform() - 0.5) for _ in range(2))
    return Place(x, y, outer * hollow * (0.8 + 0.2 * uniform())), Place(x, y, outer)


def in_a_row(uniform: Uniform) -> tuple[Place, Place, Place]:
    """Place three objects in a row or a column, the middle one first."""
    sizes = [0.24 + 0.08 * uniform() for _ in range(3)]
    middle, tilt = 0.3 + 0.4 * uniform(), 0.24 * (uniform() - 0.5)
    along = (0.5, 0.17, 0.83)
    across = (middle, middle - tilt, middle + tilt)
    upright = uniform() < 0.5
    first, second, third = (
        Place(*((b, a) if upright else (a, b)), size) for a, b, size in zip(along, across, sizes, strict=True)
    )
    return first, second, third


def spread(uniform: Uniform, count: int) -> tuple[Place, ...]:
    """Place up to nine objects of similar size in different cells of a grid of 2 × 2 or 3 × 3."""
    side = 2 if count <= 4 else 3
    cells = [(column, row) for column in range(side) for row in range(side)]
    size = (0.6 + 0.32 * uniform()) / side
    places = []
    for _ in range(count):
        cell = cells.pop(int(uniform() * len(cells)))
        own = size * (0.9 + 0.1 * uniform())
        x, y = ((number + 0.5) / side + (1 / side - own) * (uniform() - 0.5) for number in cell)
        places.append(Place(x, y, own))
    return tuple(places)


HOLLOWS: Final = {"ring": 0.44, "frame": 0.42, "circle": 0.5, "square": 0.52, "pentagon": 0.46, "gear": 0.4}
"""Shapes that may contain another object, and the largest size of that object as a fraction of theirs."""


def _inside(centre: float, size: float) -> float:
    return min(max(centre, size / 2), 1 - size / 2)

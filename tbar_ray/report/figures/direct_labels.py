"""Names beside the marks of a panel, where a key of many colours and shapes would send the eye to and fro."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox

SIZE = 8.0
"""Of letters, in points."""
MARK, OTHER = 4.0, (14.0, 5.0)
"""Half the size of a mark, in points, which its name keeps off; names of other marks would seem its own if nearer."""
GAP = 2.0
"""Points between a name and what is beside it."""
REACHES = (3.0, 8.0, 16.0, 26.0, 38.0, 52.0, 70.0, 90.0)
"""How far beyond the mark a name may stand, in points: as near as there is room."""
NEAR = 3.0
"""Points up to which no line is needed to tell whose name it is."""
LEADER = {"arrowstyle": "-", "color": style.FAINT, "linewidth": 0.6}
"""The line from a mark to its name."""
DIRECTIONS = (
    (1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1), (0.4, 1), (-0.4, 1), (0.4, -1), (-0.4, -1),
)  # fmt: skip
"""From the mark to the middle of its name, in half sizes of the name, the first preferred."""


class Named(NamedTuple):
    """A mark with its name, at a place in the units of the axes."""

    x: float
    y: float
    name: str


def label_marks(axes: Axes, marks: Sequence[Named]) -> None:
    """Write every name near its mark, clear of other names and marks where there is room.

    The panel must be complete and have its limits: the figure is arranged once to know what lies where.
    """
    from matplotlib.text import Text

    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    pixels = figure.dpi / 72
    places = [axes.transData.transform((mark.x, mark.y)) for mark in marks]
    names: list[Bbox] = []
    for mark, (x, y) in sorted(zip(marks, places, strict=True), key=lambda pair: (-pair[1][1], pair[1][0])):
        text = axes.annotate(
            mark.name, (mark.x, mark.y), xytext=(0, 0), textcoords="offset points", ha="center", va="center",
            fontsize=SIZE, color=style.INK, arrowprops={**LEADER, "shrinkB": MARK},
        )  # fmt: skip
        text.set_in_layout(False)
        size = Text.get_window_extent(text)  # without the line to its mark
        others = [_box(*place, *(side * pixels for side in OTHER)) for place in places if tuple(place) != (x, y)]
        taken = [*names, *others, _box(x, y, MARK * pixels, MARK * pixels)]
        found = [
            (_covered(box, taken, axes.bbox), number, box, reach)
            for number, (box, reach) in enumerate(_candidates(x, y, size, pixels))
        ]
        _, _, box, reach = min(found, key=lambda one: one[:2])
        text.set_position(((box.x0 + box.x1) / 2 / pixels - x / pixels, (box.y0 + box.y1) / 2 / pixels - y / pixels))
        if reach <= NEAR and text.arrow_patch is not None:
            text.arrow_patch.set_visible(False)
        names.append(box)


def _candidates(x: float, y: float, size: Bbox, pixels: float) -> Iterator[tuple[Bbox, float]]:
    """Boxes for a name whose mark is at (x, y), and how far from the mark each is, the best first."""
    for reach in REACHES:
        for across, along in DIRECTIONS:
            off = (MARK + reach) * pixels
            half_width, half_height = size.width / 2 + GAP * pixels, size.height / 2
            yield _box(x + across * (half_width + off), y + along * (half_height + off), half_width, half_height), reach


def _covered(box: Bbox, taken: Sequence[Bbox], panel: Bbox) -> float:
    """The area of a name, in pixels, that others cover or that is outside its panel."""
    return sum(_shared(box, other) for other in taken) + box.width * box.height - _shared(box, panel)


def _shared(one: Bbox, other: Bbox) -> float:
    across = min(one.x1, other.x1) - max(one.x0, other.x0)
    along = min(one.y1, other.y1) - max(one.y0, other.y0)
    return float(max(0.0, across) * max(0.0, along))


def _box(x: float, y: float, half_width: float, half_height: float) -> Bbox:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(x - half_width, y - half_height, x + half_width, y + half_height)

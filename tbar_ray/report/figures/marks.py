"""Many marks of few looks in one panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Marks:
    """Collects the marks of a panel, and draws those of one look as one thing.

    A line for each mark takes most of the time of a report on a thousand trials.

    Args:
        axes: the panel.
    """

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._places: dict[tuple[tuple[str, Any], ...], list[tuple[float, float]]] = {}

    def add(self, x: float, y: float, **look: Any) -> None:
        """Add a mark; `look` is that of `Axes.plot`."""
        self._places.setdefault(tuple(sorted(look.items())), []).append((x, y))

    def draw(self) -> None:
        """Draw what was added, in the order in which looks came first."""
        for look, places in self._places.items():
            self._axes.plot(*zip(*places, strict=True), linestyle="none", **dict(look))

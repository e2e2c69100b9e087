"""Intervals of many marks in one panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAP = 4.0
"""Length of a cap in points."""


class ErrorBars:
    """Collects the intervals of a panel's marks, and draws them as one thing.

    Matplotlib's own error bars are up to four artists for each mark, which takes most of the time of a report on a
    thousand trials.

    Args:
        axes: the panel; its marks are drawn by the caller, above `zorder`.
        zorder: of the bars.
        capped: whether their ends are marked, of those along y.
    """

    def __init__(self, axes: Axes, zorder: float = 2, *, capped: bool = False) -> None:
        self._axes, self._zorder, self._capped = axes, zorder, capped
        self._bars: list[tuple[tuple[float, float], tuple[float, float]]] = []
        self._colours: list[tuple[float, float, float, float]] = []

    def along_x(self, low: float, high: float, y: float, colour: Any, opacity: float = 1.0) -> None:
        """Add a bar from (low, y) to (high, y)."""
        self._add((low, y), (high, y), colour, opacity)

    def along_y(self, x: float, low: float, high: float, colour: Any, opacity: float = 1.0) -> None:
        """Add a bar from (x, low) to (x, high)."""
        self._add((x, low), (x, high), colour, opacity)

    def draw(self) -> None:
        """Draw what was added."""
        from matplotlib.collections import LineCollection

        if not self._bars:
            return
        bars = LineCollection(self._bars, colors=self._colours, linewidths=1, zorder=self._zorder)
        self._axes.add_collection(bars)
        self._axes.autoscale_view()
        if self._capped:
            x, y = zip(*(end for bar in self._bars for end in bar), strict=True)
            colours = [colour for colour in self._colours for _ in range(2)]
            self._axes.scatter(x, y, s=CAP**2, c=colours, marker="_", linewidths=1, zorder=self._zorder)

    def _add(self, start: tuple[float, float], end: tuple[float, float], colour: Any, opacity: float) -> None:
        from matplotlib.colors import to_rgba

        self._bars.append((start, end))
        self._colours.append(to_rgba(colour, opacity))

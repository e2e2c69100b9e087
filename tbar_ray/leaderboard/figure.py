"""The critical-difference diagram: methods on a line of mean ranks, bars over those that no test tells apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbar_ray.leaderboard.critical_difference import Comparison
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 9.0
"""Inches."""
LINE, GAP = 0.23, 0.13
"""Inches between names, and between bars."""
SIDE = 0.28
"""Share of the width for the names at each side."""


def critical_difference_figure(comparison: Comparison) -> Figure:
    """Draw the diagram of Demšar (2006): the best method at the left, the critical difference as a bar above.

    A bar for groups that differ in more methods than the picture has rows for is as long as the group.
    """
    names = list(comparison.mean_ranks)
    left, right = names[: (len(names) + 1) // 2], names[(len(names) + 1) // 2 :]
    bars = len(comparison.groups) * GAP
    below = bars + 0.15 + LINE * len(left)
    height = 0.95 + below
    figure = style.new_figure(WIDTH, height, arranged=False)
    axes = figure.add_axes((SIDE, 0, 1 - 2 * SIDE, 1))
    low, high = 1, len(names)
    axes.set(xlim=(low, high), ylim=(-below, height - below))
    axes.axis("off")
    _ruler(axes, low, high, comparison.difference)
    for side, listed in ((-1, left), (1, right[::-1])):
        for row, name in enumerate(listed):
            _name(axes, name, comparison.mean_ranks[name], -(bars + 0.3 + LINE * row), side)
    for place, group in enumerate(comparison.groups):
        ends = [comparison.mean_ranks[group[0]], comparison.mean_ranks[group[-1]]]
        margin = (high - low) * 0.006
        height_at = -(0.12 + GAP * place)
        axes.plot([ends[0] - margin, ends[1] + margin], [height_at] * 2, color=style.ATTACKS[0], lw=3.2,
                  solid_capstyle="butt", clip_on=False)  # fmt: skip
    return figure


def _ruler(axes: Axes, low: int, high: int, difference: float) -> None:
    """The line of ranks, and the critical difference above it, cut where it is longer than the line."""
    axes.plot([low, high], [0, 0], color=style.INK, lw=1.2, clip_on=False)
    step = max(1, round((high - low) / 8))
    for rank in range(low, high + 1, step):
        axes.plot([rank, rank], [0, 0.07], color=style.INK, lw=1, clip_on=False)
        axes.annotate(
            str(rank), (rank, 0.11), ha="center", va="bottom", fontsize=8.5, color=style.INK, annotation_clip=False
        )
    shown = min(difference, high - low)
    axes.plot([low, low + shown], [0.48, 0.48], color=style.FAINT, lw=1.5, clip_on=False)
    for end in (low, low + shown):
        axes.plot([end, end], [0.44, 0.52], color=style.FAINT, lw=1.5, clip_on=False)
    more = " (longer than the line)" if difference > shown else ""
    axes.annotate(f"critical difference {difference:.2f}{more}", (low, 0.56), ha="left", va="bottom", fontsize=8.5,
                  color=style.FAINT, annotation_clip=False)  # fmt: skip


def _name(axes: Axes, name: str, rank: float, depth: float, side: int) -> None:
    """A method's name at one side, with its mean rank and a line to its place."""
    low, high = axes.get_xlim()
    edge = low - 0.02 * (high - low) if side < 0 else high + 0.02 * (high - low)
    axes.plot([rank, rank, edge], [0, depth, depth], color=style.FAINT, lw=0.8, clip_on=False)
    text = f"{name}  {rank:.2f}" if side < 0 else f"{rank:.2f}  {name}"
    axes.annotate(text, (edge, depth), xytext=(side * 4, 0), textcoords="offset points", fontsize=8.5, color=style.INK,
                  ha="right" if side < 0 else "left", va="center", annotation_clip=False)  # fmt: skip

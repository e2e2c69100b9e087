"""What the figures of growth share: how each line looks, and the axis of samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.planning.axes import Setting
from tbar_ray.report.figures import style
from tbar_ray.report.figures.growth_lines import GrowthLine
from tbar_ray.report.figures.looks import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def line_looks(lines: Sequence[GrowthLine]) -> dict[tuple[Setting, ...], Look]:
    """A look for each combination of values, in the order of their trials: dark for the first, light for the last."""
    from matplotlib import colormaps

    values = list(dict.fromkeys(line.values for line in lines))
    colours = colormaps["viridis"]
    return {
        each: Look(colours(0.25 if len(values) < 2 else place / (len(values) - 1) * 0.82), *style.level_dashes(place))
        for place, each in enumerate(values)
    }


def draw_seeds(axes: Axes, x: float, values: Sequence[float], colour: Any) -> float:
    """Draw the 95 % bootstrap interval of some seeds' values and, small, each of them; return their mean."""
    from tbar_ray.evaluation.bootstrap import aggregate

    found = aggregate(values)
    if found.low is not None and found.high is not None:
        bar = [[found.mean - found.low], [found.high - found.mean]]
        axes.errorbar(x, found.mean, yerr=bar, color=colour, capsize=2.5, linewidth=1.2, zorder=3)
        axes.plot([x] * len(values), values, color=colour, marker=".", markersize=4, linestyle="none", alpha=0.5)
    return found.mean


def samples_axis(axes: Axes) -> None:
    """Name the x axis; powers of ten with the letters k, M and G, so that no label needs an exponent."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    def told(value: float, _: int) -> str:
        for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:g}{letter}"
        return f"{value:g}"

    axes.set_xlabel("samples seen in pretraining (log scale)")
    axes.xaxis.set_major_locator(LogLocator(numticks=12))
    axes.xaxis.set_major_formatter(FuncFormatter(told))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", color=style.GRID)

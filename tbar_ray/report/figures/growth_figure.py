"""CA kept against the samples that pretraining saw, with a law of growth and where ViT-B/32 would stand on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.planning.axes import Factor, Setting
from tbar_ray.records.cells import panel_names
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.growth_axes import draw_seeds, line_looks, samples_axis
from tbar_ray.report.figures.growth_lines import (
    PUBLISHED,
    PUBLISHED_SAMPLES,
    GrowthLine,
    growth_lines,
    label_of,
    line_factors,
    removed_at,
)
from tbar_ray.report.figures.looks import Look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

TITLE = "CA kept by pretraining"
BESIDE = 3
"""Most panels side by side."""
DODGE = 1.05
"""Factor by which the marks of neighbouring lines are set apart."""
NAMED = 3
"""Lines without a law up to which the note names each."""
STAR = "#E69F00"


@dataclass(frozen=True)
class _Drawn:
    """What all panels share: how each line looks, and how far the axis reaches.

    Attributes:
        looks: by the values that tell lines apart.
        reach: least and most samples measured.
        laws: whether any line has a law, so that the axis goes on to ViT-B/32.
    """

    looks: Mapping[tuple[Setting, ...], Look]
    reach: tuple[int, int]
    laws: bool

    def dodge(self, values: tuple[Setting, ...]) -> float:
        """Factor of a line's places on the x axis, near 1."""
        return float(DODGE ** (list(self.looks).index(values) - (len(self.looks) - 1) / 2))


def growth_figure(records: Sequence[TrialRecord], max_asr: float | None) -> Figure:
    """Draw a panel for each attack, source and method, and a line for each width or other axis.

    Args:
        records: of a campaign.
        max_asr: validation ASR that counts as removed; None: 2 %.
    """
    limit = removed_at(max_asr)
    lines = growth_lines(records, max_asr)
    if not lines:
        return style.message_figure(TITLE, "No two trials of a line saw different numbers of samples in pretraining.")
    panels = list(dict.fromkeys(line.panel for line in lines))
    samples = [cell.samples for line in lines for cell in line.cells]
    drawn = _Drawn(line_looks(lines), (min(samples), max(samples)), any(line.law is not None for line in lines))
    rows, columns = style.wrapped(len(panels), BESIDE)
    figure = style.new_figure(4.3 * columns + 2.2, 3.6 * rows + 1.2)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    names, size = style.fitted(panel_names(panels), 4.3)
    attacks = [record.attack for record in records]
    for axes, panel, name in zip(grid.flat, panels, names, strict=False):
        _draw_panel(axes, [line for line in lines if line.panel == panel], drawn)
        style.panel_title(axes, name, style.attack_colour(panel.attack, attacks), size)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for row in grid:
        row[0].set_ylabel(f"CA kept at ASR ≤ {limit * 100:g}%")
    factors = line_factors(records)
    style.legend(figure, _entries(lines, drawn, factors))
    style.titles(figure, f"{TITLE}: {counted(len(lines), 'line')}, test split", _note(lines, records, factors, limit))
    return figure


def _draw_panel(axes: Axes, lines: Sequence[GrowthLine], drawn: _Drawn) -> None:
    low, high = drawn.reach
    end = PUBLISHED_SAMPLES * 2.2 if drawn.laws else high * 1.5
    axes.set_xscale("log")
    axes.set_xlim(low / 1.7, end)
    if drawn.laws:
        axes.axvspan(high * 1.25, end, color="#f4f4f4", linewidth=0, zorder=0)
        axes.annotate(
            "extrapolated", (high * 1.5, 0.012), xycoords=("data", "axes fraction"), fontsize=8, color=style.FAINT
        )
    for line in lines:
        look = drawn.looks[line.values]
        _draw_cells(axes, line, look, drawn.dodge(line.values))
        _draw_law(axes, line, look, drawn)
    if drawn.laws:
        middle = fmean(PUBLISHED)
        axes.errorbar(
            PUBLISHED_SAMPLES, middle, yerr=[[middle - min(PUBLISHED)], [max(PUBLISHED) - middle]], color=style.INK,
            marker="*", markersize=14, markerfacecolor=STAR, markeredgecolor=style.INK, zorder=6,
        )  # fmt: skip
    style.dress(axes)
    axes.set_ylim(-0.02, 1.06)
    style.percent(axes, "y", whole=True, pad=0.06)
    samples_axis(axes)


def _draw_cells(axes: Axes, line: GrowthLine, look: Look, dodge: float) -> None:
    """Means over seeds with intervals, single seeds small; marks at the foot where a seed has no result."""
    colour = look.colour
    means: list[tuple[float, float]] = []
    for cell in line.cells:
        x, kept = cell.samples * dodge, [value for _, value in cell.kept]
        if kept:
            means.append((x, draw_seeds(axes, x, kept, colour)))
            axes.plot(*means[-1], color=colour, marker=look.marker, markersize=6.5, linestyle="none", zorder=4)
        for marker, some in (("v", len(kept) < len(cell.taken)), ("x", len(cell.taken) < len(cell.records))):
            if some:
                axes.plot(
                    x, 0.015, marker=marker, markersize=6.5, color=colour, markerfacecolor="white", markeredgewidth=1.6,
                    clip_on=False, transform=axes.get_xaxis_transform(), zorder=6,
                )  # fmt: skip
    if line.law is None and len(means) > 1:
        axes.plot(*zip(*means, strict=True), color=colour, linewidth=1.2, linestyle=(0, (1, 1.4)))


def _draw_law(axes: Axes, line: GrowthLine, look: Look, drawn: _Drawn) -> None:
    """The law with its interval: a full line within the line's own sizes, dashed beyond them."""
    import numpy as np

    if (law := line.law) is None:
        return
    first, *_, last = (cell.samples for cell in line.cells if cell.kept)
    across = np.geomspace(first, PUBLISHED_SAMPLES, 200)
    low, high = law.interval(across)
    axes.fill_between(across, low, high, color=look.colour, alpha=0.11, linewidth=0, zorder=1)
    for part, dashes in (
        (np.geomspace(first, last, 80), "-"),
        (np.geomspace(last, PUBLISHED_SAMPLES, 80), (0, (4, 2))),
    ):
        axes.plot(part, law.kept(part), color=look.colour, linestyle=dashes, linewidth=1.6, zorder=2)
    value, x = float(law.kept(PUBLISHED_SAMPLES)), PUBLISHED_SAMPLES * drawn.dodge(line.values)
    (low_end,), (high_end,) = law.interval([PUBLISHED_SAMPLES])
    if isfinite(low_end):
        axes.plot([x, x], [low_end, high_end], color=look.colour, linewidth=1, zorder=3)
    axes.plot(x, value, marker=look.marker, markersize=6.5, color=look.colour, markerfacecolor="white", zorder=5)


def _entries(lines: Sequence[GrowthLine], drawn: _Drawn, factors: Sequence[Factor]) -> list[Line2D]:
    entries = []
    if factors:
        entries.append(style.heading(", ".join(factor.title for factor in factors)))
        by_values = {line.values: line for line in lines}
        for values, look in drawn.looks.items():
            label = label_of(by_values[values], factors)
            entries.append(style.key(label, color=look.colour, marker=look.marker, markersize=6, linewidth=1.6))
    grey: dict[str, Any] = {"color": style.FAINT}
    entries.append(style.heading("marks"))
    entries.append(style.key("mean over seeds", marker="o", markersize=6, linestyle="none", **grey))
    if drawn.laws:
        entries.append(style.key("fitted law", linewidth=1.6, **grey))
        entries.append(style.key("law, extrapolated", linewidth=1.6, linestyle=(0, (4, 2)), **grey))
        entries.append(
            style.key("law at 400 M × 32", marker="o", markersize=6, markerfacecolor="white", linestyle="none", **grey)
        )
        star: dict[str, Any] = {"color": style.INK, "markerfacecolor": STAR, "markersize": 11, "linestyle": "none"}
        entries.append(style.key("ViT-B/32 (2510.14845)", marker="*", **star))
    cells = [cell for line in lines for cell in line.cells]
    gap: dict[str, Any] = {
        "linestyle": "none",
        "markersize": 6,
        "markerfacecolor": "white",
        "markeredgewidth": 1.6,
        **grey,
    }
    if any(len(cell.kept) < len(cell.taken) for cell in cells):
        entries.append(style.key("a seed not removed", marker="v", **gap))
    if any(len(cell.taken) < len(cell.records) for cell in cells):
        entries.append(style.key("a seed failed", marker="x", **gap))
    return entries


def _note(lines: Sequence[GrowthLine], records: Sequence[TrialRecord], factors: Sequence[Factor], limit: float) -> str:
    from tbar_ray.evaluation.growth_law import LEAST_SIZES

    parts = [
        "Samples are pairs × epochs of the clean model's training. CA kept is CA after removal over the infected "
        f"model's, of trials whose validation ASR is at most {limit * 100:g}%; bars and bands are 95% bootstrap "
        "intervals, small points seeds.",
    ]
    without = [line for line in lines if line.law is None]
    if len(without) < len(lines):
        parts.append(
            "Law: logit of CA kept, linear in ln samples. Beyond the sizes measured it is an assumption: the star "
            f"({min(PUBLISHED):.1%} to {max(PUBLISHED):.1%}) is of another architecture, corpus and task."
        )
    if without:
        told = [
            f"{name} ({', '.join(filter(None, [label_of(line, factors), counted(line.sizes, 'size')]))})"
            for line, name in zip(without, panel_names([line.panel for line in without]), strict=True)
        ]
        of = ", ".join(told) if len(told) <= NAMED else f"{len(told)} of {len(lines)} lines"
        parts.append(f"No law is fitted to {of}: CA kept must be known at {LEAST_SIZES} sizes at least.")
    return " ".join([*parts, style.trials_left_out(records)]).strip()

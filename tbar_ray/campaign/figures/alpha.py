"""CA, ASR and PA along α on the validation split: what α is chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.figures import style
from tbar_ray.campaign.figures.cells import (
    Curve,
    Levels,
    Record,
    count_text,
    counted,
    curves_of,
    fraction_levels,
    in_panel,
    panels_of,
    reference,
    size_levels,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

METRICS = ("ca", "asr", "pa")
MOST_COLUMNS = 6
MOST_BANDS = 4
"""Curves per panel up to which intervals are drawn as bands; more would hide one another."""


def alpha_figure(records: Sequence[Record]) -> Figure:
    """Draw CA, ASR and PA (rows) against α for every attack and method (columns), one line per cell.

    Seeds of a cell are averaged; trials of one α each, which a sampler asked for, are joined along α.
    """
    title = "Validation scores along α"
    shown = [r for r in records if r.get("path")]
    if not shown:
        return style.message_figure(title, f"No trial has validation scores yet. {style.without_result(records)}")
    panels = panels_of(shown)
    sizes, fractions = size_levels(shown), fraction_levels(shown)
    columns = min(MOST_COLUMNS, len(panels))
    blocks = -(-len(panels) // columns)
    figure = style.new_figure(3.9 * columns + 2.0, 7.6 * blocks + 0.8)
    grid = figure.subplots(len(METRICS) * blocks, columns, squeeze=False)
    attacks = [r["attack"] for r in records]
    widest = 0.0
    banded = True
    for place, panel in enumerate(panels):
        block, column = divmod(place, columns)
        top = block * len(METRICS)
        members = in_panel(shown, panel)
        curves = curves_of(members, METRICS, mean_of_seeds=True)
        bands = len(curves) <= MOST_BANDS
        banded &= bands
        for row, metric in enumerate(METRICS):
            axes: Axes = grid[top + row][column]
            _flat_range(axes, members)
            _references(axes, members, metric)
            for curve in curves:
                _draw(axes, curve, metric, sizes, fractions, bands)
                widest = max(widest, *(max(high - v, v - low) for v, low, high in curve.scores[metric]))
            style.dress(axes)
            style.percent(axes, "y", whole=metric == "asr")
            if column == 0:
                axes.set_ylabel(style.METRIC_NAMES[metric])
        style.panel_title(
            grid[top][column], panel, style.attack_colour(panel[0], attacks), len({m for _, m in panels}) > 1
        )
        grid[top + len(METRICS) - 1][column].set_xlabel("scaling coefficient α")
    for place in range(len(panels), blocks * columns):
        for row in range(len(METRICS)):
            grid[place // columns * len(METRICS) + row][place % columns].set_visible(False)
    style.legend(figure, [*style.factor_entries(sizes, fractions), *_other_entries(shown)])
    counts = count_text([p for r in shown for p in r["path"]], ("ca", "asr", "pa"))
    style.titles(
        figure, f"{title}: {counted(len(shown), 'trial')}, validation split, {counts}", _note(records, widest, banded)
    )
    return figure


def _draw(axes: Axes, curve: Curve, metric: str, sizes: Levels, fractions: Levels, band: bool) -> None:
    colour = style.size_colour(sizes.index(curve.forget_size), sizes)
    kind = fractions.index(curve.clean_fraction)
    values, lows, highs = zip(*curve.scores[metric], strict=True)
    if band:
        axes.fill_between(curve.alphas, lows, highs, color=colour, alpha=0.12, linewidth=0)
    axes.plot(
        curve.alphas,
        values,
        color=colour,
        linestyle=style.DASHES[kind],
        linewidth=1.5,
        marker=style.MARKERS[kind],
        markersize=3.2,
        markevery=max(1, len(values) // 11),
    )
    for alpha in curve.selected:
        value = curve.at(alpha, metric)
        if value is not None:
            edge: dict[str, Any] = {"markeredgecolor": style.INK, "markeredgewidth": 1.3}
            axes.plot(alpha, value, marker=style.MARKERS[kind], markersize=9.5, color=colour, zorder=5, **edge)


def _flat_range(axes: Axes, members: Sequence[Record]) -> None:
    """Shade the range of α with ASR ≤ 1 % and CA retention ≥ 95 %, where a panel has one cell that has one."""
    found = [s for r in members if (s := r.get("alpha_sensitivity")) and s["low"] is not None]
    if len(members) == 1 and found:
        axes.axvspan(found[0]["low"], found[0]["high"], color="#009E73", alpha=0.15, linewidth=0, zorder=0)


def _references(axes: Axes, members: Sequence[Record], metric: str) -> None:
    infected = _infected(members, metric)
    clean = reference(members, "clean", metric)
    if infected is not None:
        axes.axhline(infected, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1, zorder=1)
    if clean is not None:
        axes.axhline(clean, color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1, zorder=1)


def _infected(members: Sequence[Record], metric: str) -> float | None:
    """Return the infected model's validation value, that of α = 0; test where no path has it."""
    start = [p[metric] for r in members for p in r["path"] if p["alpha"] == 0 and p.get(metric) is not None]
    if not start and metric == "ca":
        start = [r["reference_ca"] for r in members if r.get("reference_ca") is not None]
    return fmean(start) if start else reference(members, "infected", metric)


def _other_entries(shown: Sequence[Record]) -> list[Line2D]:
    starts = all(any(p["alpha"] == 0 for p in r["path"]) for r in shown)
    infected = "infected (α = 0)" if starts else "infected"
    return [
        style.heading("marks"),
        style.key(
            "selected α",
            color="#bbbbbb",
            linestyle="none",
            marker="o",
            markersize=9,
            markeredgecolor=style.INK,
        ),
        style.key(infected, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1),
        style.key("clean (test split)", color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1),
    ]


def _note(records: Sequence[Record], widest: float, banded: bool) -> str:
    parts = ["Bands are 95% Wilson intervals." if banded else ""]
    parts[0] = parts[0] or f"95% Wilson intervals reach at most {widest * 100:.1f} points from a value."
    if len({r["seed"] for r in records}) > 1:
        parts.append("Lines are means over seeds.")
    if any((s := r.get("alpha_sensitivity")) and s["low"] is not None for r in records):
        parts.append("Green: α with ASR ≤ 1 % and CA retention ≥ 95 %.")
    parts += [
        f"Lines of one look may differ in {name.replace('_', ' ')}."
        for name in ("poisoning_rate", "learning_rate")
        if len({r.get(name) for r in records}) > 1
    ]
    return " ".join([*parts, style.without_result(records)]).strip()

"""CA, ASR and PA along α on the validation split: what α is chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from tbar_ray.records.cells import (
    Curve,
    Levels,
    Panel,
    Record,
    count_text,
    counted,
    curves_of,
    fraction_levels,
    in_panel,
    infected_value,
    panel_names,
    panels_of,
    reference,
    size_levels,
)
from tbar_ray.report.figures import style
from tbar_ray.report.figures.alpha_overlay import draw_overlay
from tbar_ray.report.figures.flat import RULE, bars, flat_of, in_words, shade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

METRICS = ("ca", "asr", "pa")
MOST_BANDS = 4
"""Curves per panel up to which intervals are drawn as bands; more would hide one another."""


def alpha_figure(records: Sequence[Record]) -> Figure:
    """Draw CA, ASR and PA against α for every attack, source and method, one line per cell.

    Where each of these has one cell, a panel holds all three scores; else three panels lie under one another.
    Seeds of a cell are averaged; trials of one α each, which a sampler asked for, are joined along α. The α
    with ASR ≤ 1 % and CA ≥ 95 % of the infected model's are shaded, or barred where several lines share a panel.
    """
    title = "Validation scores along α"
    shown = [r for r in records if r.get("path")]
    if not shown:
        return style.message_figure(title, f"No trial has validation scores yet. {style.without_result(records)}")
    panels = panels_of(shown)
    curves = [curves_of(in_panel(shown, panel), METRICS, mean_of_seeds=True) for panel in panels]
    single = all(len(own) == 1 for own in curves)
    banded = all(len(own) <= MOST_BANDS for own in curves)
    figure = draw_overlay(records, curves) if single else _stacked(records, shown, panels, curves)
    counts = count_text([p for r in shown for p in r["path"]], METRICS)
    heading = f"{title}: {counted(len(shown), 'trial')}, validation split, {counts}"
    style.titles(figure, heading, _note(records, curves, banded))
    return figure


def _stacked(
    records: Sequence[Record], shown: Sequence[Record], panels: Sequence[Panel], curves: Sequence[list[Curve]]
) -> Figure:
    """Draw three panels under one another for each of `panels`."""
    sizes, fractions = size_levels(shown), fraction_levels(shown)
    blocks, columns = style.wrapped(len(panels))
    width = 3.9 if columns < 4 else 2.8
    figure = style.new_figure(width * columns + 2.0, 0.8 + (7.6 if blocks == 1 else 6.4) * blocks)
    grid = figure.subplots(len(METRICS) * blocks, columns, squeeze=False)
    attacks = [r["attack"] for r in records]
    names, size = style.fitted(panel_names(panels), width)
    for place, (panel, own) in enumerate(zip(panels, curves, strict=True)):
        block, column = divmod(place, columns)
        stack: list[Axes] = [grid[block * len(METRICS) + row][column] for row in range(len(METRICS))]
        for axes, metric in zip(stack, METRICS, strict=True):
            _references(axes, in_panel(shown, panel), metric)
            for curve in own:
                _draw(axes, curve, metric, sizes, fractions, band=len(own) <= MOST_BANDS)
            style.dress(axes)
            style.percent(axes, "y", whole=metric == "asr")
            if column == 0:
                axes.set_ylabel(style.METRIC_NAMES[metric])
            if metric != METRICS[-1]:
                axes.tick_params(labelbottom=False)
        flats = [flat_of(curve) for curve in own]
        if len(own) == 1:
            for axes in stack:
                shade(axes, flats[0])
        looks = [{"color": _colour(c, sizes), "linestyle": _dashes(c, fractions)} for c in own]
        if len(own) > 1:
            bars(stack[1], list(zip(flats, looks, strict=True)))
        style.panel_title(stack[0], names[place], style.attack_colour(panel.attack, attacks), size, in_words(flats))
        stack[-1].set_xlabel("scaling coefficient α")
    for place in range(len(panels), blocks * columns):
        for row in range(len(METRICS)):
            grid[place // columns * len(METRICS) + row][place % columns].set_visible(False)
    style.legend(figure, [*style.factor_entries(sizes, fractions), *_other_entries(shown, curves)])
    return figure


def _colour(curve: Curve, sizes: Levels) -> Any:
    return style.size_colour(sizes.index(curve.forget_size), sizes)


def _dashes(curve: Curve, fractions: Levels) -> Any:
    return style.DASHES[fractions.index(curve.clean_fraction)]


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


def _references(axes: Axes, members: Sequence[Record], metric: str) -> None:
    infected = infected_value(members, metric)
    clean = reference(members, "clean", metric)
    if infected is not None:
        axes.axhline(infected, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1, zorder=1)
    if clean is not None:
        axes.axhline(clean, color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1, zorder=1)


def _other_entries(shown: Sequence[Record], curves: Sequence[list[Curve]]) -> list[Line2D]:
    starts = all(any(p["alpha"] == 0 for p in r["path"]) for r in shown)
    infected = "infected (α = 0)" if starts else "infected"
    marks = [
        style.heading("marks"),
        style.key("selected α", color="#bbbbbb", linestyle="none", marker="o", markersize=9, markeredgecolor=style.INK),
        style.key(infected, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1),
        style.key("clean (test split)", color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1),
    ]
    if any((flat := flat_of(curve)) and flat.low is not None for own in curves for curve in own):
        several = any(len(own) > 1 for own in curves)
        label = "flat α (bars, ASR panel)" if several else "flat α"
        marks.append(style.key(label, color=style.FAINT if several else style.FLAT, linewidth=2.6 if several else 7))
    return marks


def _note(records: Sequence[Record], curves: Sequence[list[Curve]], banded: bool) -> str:
    scores = [score for own in curves for curve in own for along in curve.scores.values() for score in along]
    reach = [max(high - value, value - low) for value, low, high in scores if isfinite(value)]
    bands = "Bands are 95% Wilson intervals."
    parts = [
        bands
        if banded
        else f"95% Wilson intervals reach at most {max(reach, default=0) * 100:.1f} points from a value."
    ]
    if len({r["seed"] for r in records}) > 1:
        parts.append("Lines are means over seeds.")
    if any(flat_of(curve) for own in curves for curve in own):
        parts.append(f"Flat: {RULE}; ≥ where this holds up to an end of the path.")
    parts += [
        f"Lines of one look may differ in {name.replace('_', ' ')}."
        for name in ("poisoning_rate", "learning_rate")
        if any(len({c.records[0].get(name) for c in own}) > 1 for own in curves)
    ]
    return " ".join([*parts, style.without_result(records)]).strip()

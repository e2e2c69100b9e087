"""CA, ASR and PA along α on the validation split: what α is chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, nan
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.records.cells import (
    Curve,
    Panel,
    counts_of_validation,
    curves_of,
    grouped,
    in_panel,
    infected_value,
    panel_names,
    panels_of,
    reference,
)
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.alpha_overlay import BOUND, beside_entries, draw_overlay
from tbar_ray.report.figures.alpha_panels import panels_along_alpha
from tbar_ray.report.figures.flat import Rule, bars, flat_of, in_words, shade
from tbar_ray.report.figures.looks import Look, Looks
from tbar_ray.report.figures.marks import Marks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

METRICS = ("ca", "asr", "pa")
MOST_BANDS = 4
"""Curves per panel up to which intervals are drawn as bands; more would hide one another."""


def alpha_figure(records: Sequence[TrialRecord], rule: Rule = Rule()) -> Figure:  # noqa: B008 - it is frozen
    """Draw CA, ASR and PA against α for every attack, source and method, one line per cell.

    Those of a single α have no panel where others have a path. Where each has one cell, a panel holds all three scores;
    else three panels are drawn under one another. Seeds of a cell are averaged; trials of one α each, which a sampler
    asked for, are joined along α. The α that meet the rule are shaded, or barred where several lines share a panel; its
    bounds are drawn.

    Args:
        records: the trials.
        rule: by which α was selected.
    """
    title = "Validation scores along α"
    shown = [r for r in records if r.path]
    if not shown:
        return style.message_figure(title, f"No trial has validation scores yet. {style.trials_left_out(records)}")
    panels, without = panels_along_alpha(shown)
    curves = [curves_of(in_panel(shown, panel), METRICS, mean_of_seeds=True) for panel in panels]
    single = all(len(own) == 1 for own in curves)
    banded = all(len(own) <= MOST_BANDS for own in curves)
    looks = Looks(shown)
    figure = draw_overlay(records, curves, rule) if single else _stacked(records, shown, panels, curves, looks, rule)
    counts = counts_of_validation(shown, METRICS)
    heading = f"{title}: {counted(len(shown), 'trial')}, validation split, {counts}"
    style.titles(figure, heading, f"{_note(records, curves, banded, looks, rule)} {without}".rstrip())
    return figure


def _stacked(
    records: Sequence[TrialRecord],
    shown: Sequence[TrialRecord],
    panels: Sequence[Panel],
    curves: Sequence[list[Curve]],
    looks: Looks,
    rule: Rule,
) -> Figure:
    """Draw three panels under one another for each of `panels`."""
    blocks, columns = style.wrapped(len(panels))
    width = 3.9 if columns < 4 else 2.8
    figure = style.new_figure(width * columns + 2.0, 0.8 + (7.6 if blocks == 1 else 6.4) * blocks)
    grid = figure.subplots(len(METRICS) * blocks, columns, squeeze=False)
    attacks = [r.attack for r in records]
    names, size = style.fitted(panel_names(panels, panels_of(shown)), width)
    for place, (panel, own) in enumerate(zip(panels, curves, strict=True)):
        block, column = divmod(place, columns)
        stack: list[Axes] = [grid[block * len(METRICS) + row][column] for row in range(len(METRICS))]
        for axes, metric in zip(stack, METRICS, strict=True):
            _references(axes, in_panel(shown, panel), metric)
            selected = Marks(axes)
            for look, alike in grouped(own, looks.of).items():
                _draw(axes, selected, alike, metric, look, band=len(own) <= MOST_BANDS)
            selected.draw()
            _bound(axes, in_panel(shown, panel), metric, rule)
            style.dress(axes)
            style.percent(axes, "y", whole=metric == "asr")
            if column == 0:
                axes.set_ylabel(style.METRIC_NAMES[metric])
            if metric != METRICS[-1]:
                axes.tick_params(labelbottom=False)
        flats = [flat_of(curve, rule) for curve in own]
        if len(own) == 1:
            for axes in stack:
                shade(axes, flats[0])
        if len(own) > 1:
            lines = [{"color": look.colour, "linestyle": look.dashes} for look in map(looks.of, own)]
            bars(stack[1], list(zip(flats, lines, strict=True)))
        style.panel_title(stack[0], names[place], style.attack_colour(panel.attack, attacks), size, in_words(flats))
        stack[-1].set_xlabel("scaling coefficient α")
    for place in range(len(panels), blocks * columns):
        for row in range(len(METRICS)):
            grid[place // columns * len(METRICS) + row][place % columns].set_visible(False)
    style.legend(figure, [*looks.entries(), *_other_entries(shown, curves, rule)])
    return figure


def _draw(axes: Axes, selected: Marks, curves: Sequence[Curve], metric: str, look: Look, band: bool) -> None:
    """Draw the curves of one look as one line with gaps: hundreds of lines would take seconds."""
    along = [[value for value, _, _ in curve.scores[metric]] for curve in curves]
    if band:
        for curve in curves:
            _, lows, highs = zip(*curve.scores[metric], strict=True)
            axes.fill_between(curve.alphas, lows, highs, color=look.colour, alpha=0.12, linewidth=0)
    alphas, starts = _with_gaps([curve.alphas for curve in curves])
    dressed = {"color": look.colour, "linestyle": look.dashes, "linewidth": 1.5, "marker": look.marker}
    marked = [
        i for at, part in zip(starts, along, strict=True) for i in range(at, at + len(part), max(1, len(part) // 11))
    ]
    axes.plot(alphas, _with_gaps(along)[0], **dressed, markersize=3.2, markevery=marked)
    beside = [[value for value, _, _ in c.beside[metric]] if c.beside else [nan] * len(c.alphas) for c in curves]
    if any(curve.beside for curve in curves):
        axes.plot(alphas, _with_gaps(beside)[0], color=look.colour, **style.BESIDE)
    edge: dict[str, Any] = {"markeredgecolor": style.INK, "markeredgewidth": 1.3}
    for curve in curves:
        for alpha in curve.selected:
            value = curve.at(alpha, metric)
            if value is not None:
                selected.add(alpha, value, marker=look.marker, markersize=9.5, color=look.colour, zorder=5, **edge)


def _with_gaps(parts: Sequence[Sequence[float]]) -> tuple[list[float], list[int]]:
    """Join parts with NaN between them, which a line leaves out; also where each begins."""
    joined: list[float] = []
    starts = []
    for part in parts:
        if joined:
            joined.append(nan)
        starts.append(len(joined))
        joined += part
    return joined, starts


def _references(axes: Axes, members: Sequence[TrialRecord], metric: str) -> None:
    infected = infected_value(members, metric)
    clean = reference(members, "clean", metric)
    if infected is not None:
        axes.axhline(infected, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1, zorder=1)
    if clean is not None:
        axes.axhline(clean, color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1, zorder=1)


def _bound(axes: Axes, members: Sequence[TrialRecord], metric: str, rule: Rule) -> None:
    """Draw the CA that α must keep, or the ASR at which the backdoor counts as removed, where the panel reaches it."""
    infected, limits = infected_value(members, "ca"), axes.get_ylim()
    if metric == "ca" and infected is not None:
        axes.axhline(rule.min_retention * infected, **BOUND)
    if metric == "asr" and rule.max_asr is not None:
        axes.axhline(rule.max_asr, **BOUND)
    axes.set_ylim(limits)  # a far bound would flatten the curves


def _other_entries(shown: Sequence[TrialRecord], curves: Sequence[list[Curve]], rule: Rule) -> list[Line2D]:
    starts = all(any(point.alpha == 0 for point in r.path) for r in shown)
    infected = "infected (α = 0)" if starts else "infected"
    marks = [
        style.heading("marks"),
        style.key("selected α", color="#bbbbbb", linestyle="none", marker="o", markersize=9, markeredgecolor=style.INK),
        style.key(infected, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1),
        style.key("clean (test split)", color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1),
    ]
    marks.append(style.key("bound of the rule", **BOUND))
    marks += beside_entries(curves)
    if any((flat := flat_of(curve, rule)) and flat.low is not None for own in curves for curve in own):
        several = any(len(own) > 1 for own in curves)
        label = "rule is met (ASR panel)" if several else "rule is met"
        marks.append(style.key(label, color=style.FAINT if several else style.FLAT, linewidth=2.6 if several else 7))
    return marks


def _note(records: Sequence[TrialRecord], curves: Sequence[list[Curve]], banded: bool, looks: Looks, rule: Rule) -> str:
    scores = [score for own in curves for curve in own for along in curve.scores.values() for score in along]
    reach = [max(high - value, value - low) for value, low, high in scores if isfinite(value)]
    bands = "Bands are 95% Wilson intervals."
    parts = [
        bands
        if banded
        else f"95% Wilson intervals reach at most {max(reach, default=0) * 100:.1f} points from a value."
    ]
    if len({r.seed for r in records}) > 1:
        parts.append("Lines are means over seeds.")
    if any(curve.beside for own in curves for curve in own):
        parts.append(
            "Thin lines: the same weights with the other BatchNorm statistics; α is selected on the thick ones."
        )
    parts.append(f"Rule that selects α: {rule.text}.")
    flats = [flat for own in curves for curve in own if (flat := flat_of(curve, rule)) and flat.low is not None]
    if flats:
        end = "; ≥: it meets an end of the path" if any(flat.censored for flat in flats) else ""
        parts.append(f"α width: of the range of α that meets the rule{end}.")
    return " ".join(filter(None, [*parts, looks.note(), style.trials_left_out(records)]))

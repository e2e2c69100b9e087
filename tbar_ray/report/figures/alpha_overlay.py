"""Scores along α where every panel has one cell: CA, ASR and PA share a panel, so that many attacks fit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.planning.axes import percent
from tbar_ray.records.cells import Curve, infected_value, panel_names, panel_of, panels_of, reference
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.flat import Rule, flat_of, in_words, shade

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

METRICS = ("ca", "asr", "pa")
MARKS = {"ca": "o", "asr": "s", "pa": "^"}
BOUND: dict[str, Any] = {"color": style.FAINT, "linestyle": (0, (7, 2)), "linewidth": 0.9, "zorder": 1}
"""Lines at the CA that α must keep, and at the ASR at which the backdoor counts as removed."""


def draw_overlay(records: Sequence[TrialRecord], curves: Sequence[Sequence[Curve]], rule: Rule) -> Figure:
    """Draw one panel for the only curve of each of `curves`, without titles of the figure."""
    rows, columns = style.wrapped(len(curves))
    width = 4.6 if columns < 4 else 2.75
    figure = style.new_figure(width * columns + 2.1, 0.9 + (3.9 if columns < 4 else 2.6) * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    attacks = [r.attack for r in records]
    panels = [panel_of(own[0].records[0]) for own in curves]
    names, size = style.fitted(panel_names(panels, panels_of(records)), width)
    flats = [flat_of(own[0], rule) for own in curves]
    for place, axes in enumerate(grid.flat):
        if place >= len(curves):
            axes.set_visible(False)
            continue
        (curve,) = curves[place]
        _references(axes, curve, rule)
        shade(axes, flats[place])
        for metric in METRICS:
            _draw(axes, curve, metric)
        style.dress(axes)
        axes.set_ylim(0, 1)
        style.percent(axes, "y", whole=True)
        if place % columns:
            axes.tick_params(labelleft=False)
        if place + columns >= len(curves):
            axes.set_xlabel("scaling coefficient α")
        colour = style.attack_colour(panels[place].attack, attacks)
        style.panel_title(axes, names[place], colour, size, in_words([flats[place]]))
    met = any(flat is not None and flat.low is not None for flat in flats)
    style.legend(figure, _entries(met, beside_entries(curves), rule))
    return figure


def _draw(axes: Axes, curve: Curve, metric: str) -> None:
    colour = style.METRICS[metric]
    values, lows, highs = zip(*curve.scores[metric], strict=True)
    axes.fill_between(curve.alphas, lows, highs, color=colour, alpha=0.13, linewidth=0)
    axes.plot(
        curve.alphas, values, color=colour, linewidth=1.6, marker=MARKS[metric], markersize=3,
        markevery=max(1, len(values) // 11),
    )  # fmt: skip
    edge: dict[str, Any] = {"markeredgecolor": style.INK, "markeredgewidth": 1.2}
    if curve.beside:
        axes.plot(curve.alphas, [value for value, _, _ in curve.beside[metric]], color=colour, **style.BESIDE)
    for alpha in curve.selected:
        value = curve.at(alpha, metric)
        if value is not None:
            axes.plot(alpha, value, marker=MARKS[metric], markersize=7.5, color=colour, zorder=5, **edge)


def _references(axes: Axes, curve: Curve, rule: Rule) -> None:
    """Draw the bounds of the rule, each in the colour of its score, and the clean model's CA and ASR."""
    infected = infected_value(curve.records, "ca")
    if infected is not None:
        axes.axhline(rule.min_retention * infected, **{**BOUND, "color": style.METRICS["ca"]})
    if rule.max_asr is not None:
        axes.axhline(rule.max_asr, **{**BOUND, "color": style.METRICS["asr"]})
    for metric in ("ca", "asr"):
        clean = reference(curve.records, "clean", metric)
        if clean is not None:
            axes.axhline(clean, color=style.METRICS[metric], linestyle=(0, (1.5, 2)), linewidth=1.2, zorder=1)


def beside_entries(curves: Sequence[Sequence[Curve]]) -> list[Line2D]:
    """The key of the thin lines, where models have running statistics; else nothing."""
    records = [record for own in curves for curve in own if curve.beside for record in curve.records]
    names = sorted({"as applied" if r.statistics == "reestimated" else "re-estimated" for r in records})
    return [style.key(f"statistics {' or '.join(names)}", color=style.FAINT, **style.BESIDE)] if names else []


def _entries(met: bool, beside: Sequence[Line2D], rule: Rule) -> list[Line2D]:
    entries = [style.heading("validation")]
    entries += [
        style.key(metric.upper(), color=style.METRICS[metric], marker=MARKS[metric], markersize=4, linewidth=1.6)
        for metric in METRICS
    ]
    edge: dict[str, Any] = {"markersize": 7.5, "markeredgecolor": style.INK, "linestyle": "none"}
    entries += beside
    entries.append(style.key("selected α", color="#bbbbbb", marker="o", **edge))
    if met:
        entries.append(style.key("rule is met", color=style.FLAT, alpha=0.3, linewidth=8))
    dots = (0, (1.5, 2))
    bounds = [style.key(f"CA: {percent(rule.min_retention)} of infected", **{**BOUND, "color": style.METRICS["ca"]})]
    if rule.max_asr is not None:
        bounds.append(style.key(f"ASR: {percent(rule.max_asr)}", **{**BOUND, "color": style.METRICS["asr"]}))
    return [
        *entries,
        style.heading("bounds of the rule"),
        *bounds,
        style.heading("for comparison"),
        style.key("clean CA (test)", color=style.METRICS["ca"], linestyle=dots, linewidth=1.2),
        style.key("clean ASR (test)", color=style.METRICS["asr"], linestyle=dots, linewidth=1.2),
    ]

"""The figures of one model's report, as SVG; colours and axes are those of a campaign's report."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from tbar_ray.api.walk import Walk
from tbar_ray.evaluation.scores import Scores
from tbar_ray.onemodel.layers import LayerChange
from tbar_ray.onemodel.panels import DetectorResult, ReboundCurve
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.4
"""Inches of a figure."""
MARKS = {"ca": "o", "asr": "s", "pa": "^"}
MOST_LAYERS = 40


def alpha_curve(walk: Walk, selected: float, start: Scores) -> Figure:
    """Draw CA, ASR and PA on the validation images along α, with their intervals; the selected α is marked.

    Args:
        walk: the scores along α.
        selected: the α that was applied.
        start: the scores of the model that came in, at α = 0.
    """
    figure = style.new_figure(WIDTH, 3.6)
    axes = figure.subplots()
    scores = {0.0: start, **walk.scores}
    alphas = sorted(scores)
    for metric, mark in MARKS.items():
        rates = [getattr(scores[alpha], metric) for alpha in alphas]
        values, colour = [rate.value for rate in rates], style.METRICS[metric]
        bars = [[rate.value - rate.low for rate in rates], [rate.high - rate.value for rate in rates]]
        axes.errorbar(alphas, values, bars, color=colour, marker=mark, markersize=4, linewidth=1.6, capsize=2)
        chosen = getattr(walk.scores[selected], metric).value
        axes.plot(selected, chosen, marker=mark, markersize=8, color=colour, markeredgecolor=style.INK, zorder=5)
        if walk.as_applied:
            applied = [getattr(walk.as_applied[alpha], metric).value for alpha in alphas if alpha in walk.as_applied]
            axes.plot([alpha for alpha in alphas if alpha in walk.as_applied], applied, color=colour, **style.BESIDE)
    axes.axhline(walk.min_retention * walk.reference_ca, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=0.9)
    _shares(axes, "strength α")
    entries = [
        style.key(metric.upper(), color=style.METRICS[metric], marker=mark, markersize=4, linewidth=1.6)
        for metric, mark in MARKS.items()
    ]
    dot: dict[str, Any] = {"marker": "o", "markersize": 8, "markeredgecolor": style.INK, "linestyle": "none"}
    entries.append(style.key("selected α", color="#bbbbbb", **dot))
    least = f"{walk.min_retention:.0%} of CA before"
    entries.append(style.key(least, color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=0.9))
    if walk.as_applied:
        entries.append(style.key("old statistics", color=style.FAINT, **style.BESIDE))
    style.legend(figure, entries)
    return figure


def layers_figure(changes: Sequence[LayerChange]) -> Figure:
    """Draw the relative change of every layer, in the order of the model; of very many those that changed most."""
    kept = sorted(changes, key=lambda change: -change.share)[:MOST_LAYERS]
    shown = [change for change in changes if change in kept]
    figure = style.new_figure(WIDTH, 0.7 + 0.22 * len(shown))
    axes = figure.subplots()
    rows = range(len(shown))
    longest = max((change.relative for change in shown if isfinite(change.relative)), default=1.0)
    axes.barh(rows, [min(change.relative, longest) for change in shown], color=style.METRICS["ca"], height=0.7)
    axes.set_yticks(list(rows), [change.layer for change in shown])
    axes.invert_yaxis()
    style.dress(axes)
    axes.tick_params(axis="y", labelsize=8)
    style.percent(axes, "x")
    axes.set_xlim(0, 1.05 * longest)
    axes.set_xlabel("length of the change / length of the layer's weights")
    return figure


def detectors_figure(results: Sequence[DetectorResult]) -> Figure:
    """Draw each detector's score as a dot among those of clean and infected reference models."""
    figure = style.new_figure(WIDTH, 0.6 + 1.0 * len(results))
    grid = figure.subplots(len(results), 1, squeeze=False)[:, 0]
    for axes, result in zip(grid, results, strict=True):
        for row, (scores, colour) in enumerate(((result.clean, style.CLEAN), (result.infected, style.INFECTED))):
            axes.plot(scores, [row] * len(scores), "o", color=colour, alpha=0.45, markersize=5)
        axes.axvline(result.threshold, color=style.FAINT, linestyle=(0, (6, 3)), linewidth=0.9)
        if result.score is not None:
            axes.plot(result.score, 0.5, marker="D", markersize=9, color=style.ATTACKS[0], markeredgecolor=style.INK)
        axes.set_yticks([0, 1], ["clean", "infected"])
        axes.set_ylim(-0.6, 1.6)
        style.dress(axes)
        title = result.name if result.score is not None else f"{result.name}: did not converge, no score"
        axes.set_title(title, fontsize=10, loc="left", color=style.INK)
    style.legend(
        figure,
        [
            style.key("this model", color=style.ATTACKS[0], marker="D", ls="none", markeredgecolor=style.INK),
            style.key("reference models", color=style.FAINT, marker="o", alpha=0.45, ls="none"),
            style.key("threshold", color=style.FAINT, linestyle=(0, (6, 3)), linewidth=0.9),
        ],
    )
    return figure


def rebound_figure(curves: Sequence[ReboundCurve]) -> Figure:
    """Draw ASR, and thinner CA, against steps of clean fine-tuning."""
    figure = style.new_figure(WIDTH, 3.2)
    axes = figure.subplots()
    entries = []
    for place, curve in enumerate(curves):
        colour = style.ATTACKS[place % len(style.ATTACKS)]
        axes.fill_between(
            curve.steps, [r.low for r in curve.asr], [r.high for r in curve.asr], color=colour, alpha=0.15, linewidth=0
        )
        axes.plot(curve.steps, [r.value for r in curve.asr], color=colour, marker="s", markersize=4, linewidth=1.6)
        axes.plot(curve.steps, [r.value for r in curve.ca], color=colour, **style.BESIDE)
        entries.append(style.key(curve.name, color=colour, marker="s", markersize=4, linewidth=1.6))
    _shares(axes, "steps of clean fine-tuning")
    style.legend(figure, [style.heading("ASR"), *entries, style.key("CA", color=style.FAINT, **style.BESIDE)])
    return figure


def _shares(axes: Axes, label: str) -> None:
    style.dress(axes)
    axes.set_ylim(0, 1)
    style.percent(axes, "y", whole=True)
    axes.set_xlabel(label)

"""What comes back of many removals: for each model a bar from its ASR as cleaned to the highest ASR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from tbar_ray.evaluation.rebound import ELIGIBLE
from tbar_ray.records.cells import grouped
from tbar_ray.report.figures import style
from tbar_ray.report.rebound_rows import Followed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

BESIDE = 4
"""Attacks side by side, at most."""
STAYS, RETURNS, WAS_THERE = style.ATTACKS[0], style.ATTACKS[1], style.GREY
SPREAD = 0.6
"""Share of a row over which the bars of several seeds are spread."""


def comeback_figure(models: Sequence[Followed], labels: Mapping[int, str], title: str, note: str) -> Figure:
    """Draw a panel for each attack, a row for each label, and a bar for each model: A_0 (hollow) to A_post (filled).

    Rows are in the order of the median A_post over all attacks, least first.

    Args:
        models: the models under clean fine-tuning, those that they are compared with among them.
        labels: the row of each model after removal, by its `id`.
        title: over all panels.
        note: at the foot.
    """
    removed = [model for model in models if model.role == "removed"]
    groups = grouped(removed, lambda model: (labels[id(model)],))
    rows = sorted((name for (name,) in groups), key=lambda name: (median(map(_highest, groups[name,])), name))
    attacks = list(grouped(models, lambda model: (model.record.attack,)).items())
    high, wide = style.wrapped(len(attacks), BESIDE)
    figure = style.new_figure(1.9 + style.LEGEND + 2.7 * wide, 1.0 + high * (0.8 + 0.24 * len(rows)))
    grid = figure.subplots(high, wide, squeeze=False, sharex=True, sharey=True)
    names, size = style.fitted([attack for (attack,), _ in attacks], 2.7)
    for place, (_, members) in enumerate(attacks):
        axes = grid[place // wide][place % wide]
        _draw(axes, members, labels, rows)
        style.panel_title(axes, names[place], style.INK, size)
        axes.tick_params(labelbottom=place + wide >= len(attacks))
        if place + wide >= len(attacks):
            axes.set_xlabel("ASR")
    for place in range(len(attacks), high * wide):
        grid[place // wide][place % wide].set_visible(False)
    style.legend(figure, _entries(models))
    style.titles(figure, title, f"{note} Where a row is empty, no model of it was fine-tuned.")
    return figure


def _draw(axes: Axes, members: Sequence[Followed], labels: Mapping[int, str], rows: Sequence[str]) -> None:
    removed = [model for model in members if model.role == "removed"]
    for (name,), own in grouped(removed, lambda model: (labels[id(model)],)).items():
        for number, model in enumerate(own):
            place = rows.index(name) + SPREAD * ((number + 0.5) / len(own) - 0.5)
            start, highest, colour = model.curve.figures.start, _highest(model), _colour(model)
            axes.plot([start, highest], [place, place], color=colour, linewidth=1.4, zorder=2)
            axes.plot(start, place, "o", color=colour, markerfacecolor="white", markersize=3.6, zorder=3)
            axes.plot(highest, place, "o", color=colour, markersize=3.6, zorder=4)
    for role, colour, dashes in style.REFERENCES:
        for model in (model for model in members if model.role == role):
            axes.axvline(_highest(model), color=colour, linestyle=(0, dashes), linewidth=1.0, zorder=1)
    axes.axvline(ELIGIBLE, color=style.FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    style.dress(axes)
    style.rare(axes, "x", few=True)
    axes.set_yticks(range(len(rows)), rows)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(left=False, labelsize=8)


def _entries(models: Sequence[Followed]) -> list[Line2D]:
    """The colours that are there, the two ends of a bar, and what they are compared with."""
    colours = {_colour(model) for model in models if model.role == "removed"}
    names = {STAYS: f"stays at {ELIGIBLE:.0%} or less", RETURNS: "comes back", WAS_THERE: "was not removed"}
    found = [style.key(name, color=colour, linewidth=1.4) for colour, name in names.items() if colour in colours]
    dot = {"marker": "o", "markersize": 5, "linestyle": "none", "color": style.FAINT}
    found += [style.key("ASR as cleaned", markerfacecolor="white", **dot), style.key("highest ASR", **dot)]
    roles = {model.role for model in models}
    for role, colour, dashes in style.REFERENCES:
        if role in roles:
            found.append(style.key(f"{role} model, highest", color=colour, linestyle=(0, dashes), linewidth=1.0))
    return found


def _colour(model: Followed) -> str:
    if model.curve.figures.start > ELIGIBLE:
        return WAS_THERE
    return RETURNS if _highest(model) > ELIGIBLE else STAYS


def _highest(model: Followed) -> float:
    return model.curve.figures.highest

"""The ablation: what forget-set size does, and what mixing in clean data does, on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tbar_ray.records.cells import (
    Levels,
    Record,
    count_text,
    counted,
    fraction_levels,
    grouped,
    in_panel,
    interval,
    one_per_cell,
    panel_names,
    panels_of,
    reference,
    size_levels,
    varies,
)
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

MOST_JOINED = 8
"""Different x values up to which means are joined; a random search scatters more, and a line would zigzag."""
GAPS = {"infeasible": "v", "failed": "x"}


@dataclass(frozen=True)
class _View:
    """One column: a metric against a factor, with a line per level of the other factor."""

    metric: str
    factor: str
    other: str


VIEWS = tuple(
    _View(metric, factor, other)
    for factor, other in (("forget_size", "clean_fraction"), ("clean_fraction", "forget_size"))
    for metric in ("asr", "ca")
)


def ablation_figure(records: Sequence[Record]) -> Figure:
    """Draw test ASR and CA at the selected α against each factor that varies, for every attack, source and method.

    Trials without a result are marked at the panel's edge and counted in the note.
    """
    title = "Ablation at the selected α"
    chosen = one_per_cell(records)
    if not any(r.get("ca") is not None for r in chosen):
        return style.message_figure(title, f"No trial has a test result. {style.without_result(records)}")
    views = [view for view in VIEWS if varies(chosen, view.factor)]
    if not views:
        return style.message_figure(title, "All trials have one forget-set size and one clean fraction.")
    panels = panels_of(chosen)
    sizes, fractions = size_levels(chosen), fraction_levels(chosen)
    rows, beside = style.wrapped(len(panels), (4 if len(panels) <= 3 else style.COLUMNS) // len(views))
    width, height = (3.4, 3.5) if len(panels) <= 3 else (2.8, 2.6)
    figure = style.new_figure(width * beside * len(views) + 1.9, height * rows + 0.9)
    grid = figure.subplots(rows, beside * len(views), squeeze=False)
    attacks = [r["attack"] for r in records]
    names, size = style.fitted(panel_names(panels), width * len(views))
    for place, panel in enumerate(panels):
        row, block = divmod(place, beside)
        own = grid[row][block * len(views) : (block + 1) * len(views)]
        for axes, view in zip(own, views, strict=True):
            _draw_view(axes, view, in_panel(chosen, panel), chosen, sizes, fractions)
        colour = style.attack_colour(panel.attack, attacks)
        style.panel_title(own[0], names[place], colour, size)
    for axes in grid.flat[len(panels) * len(views) :]:
        axes.set_visible(False)
    style.legend(figure, _entries(views, sizes, fractions, chosen))
    heading = f"{title}: {counted(len(chosen), 'trial')}, test split, {count_text(chosen, ('ca', 'asr'))}"
    style.titles(figure, heading, _note(records, chosen))
    return figure


def _draw_view(
    axes: Axes,
    view: _View,
    members: Sequence[Record],
    chosen: Sequence[Record],
    sizes: Levels,
    fractions: Levels,
) -> None:
    """Draw one panel: a line for each level of the other factor."""
    levels = fractions if view.other == "clean_fraction" else sizes
    values = sorted({float(r[view.factor]) for r in chosen})
    for level in range(len(levels)):
        group = [r for r in members if levels.index(r[view.other]) == level]
        # in a random search the places themselves tell lines apart
        dodge = _dodge(level, len(levels)) if len(values) <= MOST_JOINED else 0.0
        _draw(axes, view, group, _look(view, level, sizes, fractions), dodge, values)
    _references(axes, members, view.metric)
    style.dress(axes)
    style.percent(axes, "y", whole=view.metric == "asr", pad=0.07)
    _x_axis(axes, view, values)
    axes.set_ylabel(f"test {view.metric.upper()}")


def _look(view: _View, level: int, sizes: Levels, fractions: Levels) -> dict[str, Any]:
    if view.other == "forget_size":
        return {"color": style.size_colour(level, sizes), "linestyle": "-", "marker": "o"}
    share = 0.0 if len(fractions) < 2 else level / (len(fractions) - 1)
    grey = f"{0.12 + 0.5 * share:.2f}"
    return {"color": grey, "linestyle": style.DASHES[level], "marker": style.MARKERS[level]}


def _dodge(level: int, count: int) -> float:
    """Return a small shift in -1…1, so that bars of different lines stand side by side."""
    return 0.0 if count < 2 else 2 * level / (count - 1) - 1


def _place(view: _View, record: Record, dodge: float, values: Sequence[float]) -> float:
    value = float(record[view.factor])
    if view.factor == "forget_size":
        return float(value * max(values[-1] / values[0], 1.5) ** (0.022 * dodge))
    return value + 0.022 * dodge * max(values[-1] - values[0], 0.1)


def _draw(
    axes: Axes,
    view: _View,
    group: Sequence[Record],
    look: dict[str, Any],
    dodge: float,
    values: Sequence[float],
) -> None:
    by_place = grouped(group, lambda r: (_place(view, r, dodge, values),))
    means: list[tuple[float, float]] = []
    for (x,), members in sorted(by_place.items()):
        found = [(r, i) for r in members if (i := interval(r, view.metric)) is not None]
        for record, (value, low, high) in found:
            hollow = record["status"] != "done"
            axes.errorbar(
                x,
                value,
                yerr=[[value - low], [high - value]],
                color=look["color"],
                marker=look["marker"],
                markersize=4 if len(found) > 1 else 6.5,
                markerfacecolor="white" if hollow else look["color"],
                alpha=0.45 if len(found) > 1 else 1.0,
                elinewidth=1,
                capsize=2,
            )
        feasible = [value for record, (value, _, _) in found if record["status"] == "done"]
        if feasible:
            means.append((x, fmean(feasible)))
            if len(found) > 1:
                axes.plot(x, means[-1][1], color=look["color"], marker=look["marker"], markersize=7)
        for status, marker in GAPS.items():
            if any(r["status"] == status and r.get(view.metric) is None for r in members):
                edge = 0.985 if view.metric == "asr" else 0.015
                axes.plot(
                    x, edge, marker=marker, markersize=7.5, color=look["color"], markerfacecolor="white",
                    markeredgewidth=1.6, transform=axes.get_xaxis_transform(), clip_on=False, zorder=6,
                )  # fmt: skip
    if len(means) > 1 and len(values) <= MOST_JOINED:
        axes.plot(*zip(*means, strict=True), color=look["color"], linestyle=look["linestyle"], linewidth=1.5)


def _references(axes: Axes, members: Sequence[Record], metric: str) -> None:
    for role, colour, dashes in (("infected", style.INFECTED, (6, 3)), ("clean", style.CLEAN, (2, 3))):
        value = reference(members, role, metric)
        if value is not None:
            axes.axhline(value, color=colour, linestyle=(0, dashes), linewidth=1.1, zorder=1)


def _x_axis(axes: Axes, view: _View, values: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    few = len(values) <= MOST_JOINED
    if view.factor == "forget_size":
        axes.set_xscale("log")
        axes.set_xlim(values[0] / 1.3, values[-1] * 1.3)
        axes.set_xlabel("forget-set size (log scale)")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v:,.0f}"))
    else:
        axes.set_xlim(values[0] - 0.06, values[-1] + 0.06)
        axes.set_xlabel("clean fraction of the forget set")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda v, _: f"{v * 100:.3g}%"))
    if few:
        axes.xaxis.set_major_locator(FixedLocator(values))
        axes.xaxis.set_minor_locator(NullLocator())


def _entries(views: Sequence[_View], sizes: Levels, fractions: Levels, chosen: Sequence[Record]) -> list[Line2D]:
    entries = []
    for factor, name, levels in (
        ("clean_fraction", "clean fraction", fractions),
        ("forget_size", "forget-set size", sizes),
    ):
        view = next((view for view in views if view.other == factor), None)
        if view is not None:
            entries.append(style.heading(name))
            looks = (_look(view, level, sizes, fractions) for level in range(len(levels)))
            entries += [
                style.key(label, linewidth=1.5, markersize=6, **look)
                for label, look in zip(levels.labels, looks, strict=True)
            ]
    entries.append(style.heading("marks"))
    entries.append(style.key("infected model", color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1))
    entries.append(style.key("clean model", color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1))
    gap: dict[str, Any] = {
        "color": style.FAINT,
        "linestyle": "none",
        "markersize": 7,
        "markerfacecolor": "white",
    }
    for status, marker in GAPS.items():
        if any(r["status"] == status for r in chosen):
            entries.append(style.key(f"{status}, no result", marker=marker, markeredgewidth=1.6, **gap))
    if any(r["status"] == "infeasible" and r.get("ca") is not None for r in chosen):
        entries.append(style.key("infeasible, measured", marker="o", **gap))
    return entries


def _note(records: Sequence[Record], chosen: Sequence[Record]) -> str:
    parts = ["α is selected on validation; bars are 95% Wilson intervals of single trials."]
    if len({(r["seed"], r.get("poisoning_rate"), r.get("learning_rate")) for r in chosen}) > 1:
        parts.append("Lines join means of feasible trials; small points are single trials.")
    if (others := len(records) - len(chosen)) > 0:
        parts.append(f"Of trials that differ in α only, one is shown: {counted(others, 'other')} not selected.")
    parts.append(style.without_result(records) or "All trials have a result.")
    return " ".join(parts)

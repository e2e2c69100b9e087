"""Comparison of methods: CA against ASR, a curve for every method that has a strength parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.records.cells import counted, grouped, reference
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.looks import alike, factors_within

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLUMNS = 3


def methods_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw a panel per attack: test results as points, validation points along α as lines.

    Every method has one look in all panels; a hollow mark did not keep CA. Seeds are drawn each.
    """
    title = "Unlearning methods: clean accuracy against attack success"
    shown = [r for r in records if r.value("ca") is not None]
    if not shown:
        return style.message_figure(title, f"No trial has a result yet. {style.trials_left_out(records)}")
    methods = sorted({r.method for r in records})
    groups = grouped(shown, lambda r: (r.attack,))
    rows, columns = style.wrapped(len(groups), COLUMNS)
    figure = style.new_figure(4.6 * columns + 2.6, 3.9 * rows + 0.9)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes, ((attack,), members) in zip(places, groups.items(), strict=False):
        for record in members:
            _draw(axes, record, style.attack_look(record.method, methods))
        for role, colour, marker in style.MODELS:
            ca, asr = reference(members, role, "ca"), reference(members, role, "asr")
            if ca is not None and asr is not None:
                axes.plot([asr], [ca], color=colour, marker=marker, markersize=9, markeredgecolor="white", zorder=5)
        style.panel_title(axes, attack, style.INK)
    for place, axes in enumerate(places):
        axes.set_visible(place < len(groups))
        style.dress(axes)
        style.percent(axes, "x", whole=True)
        style.percent(axes, "y", whole=True)
        axes.set_xlabel("ASR — lower is better")
        if place % columns == 0:
            axes.set_ylabel("CA — higher is better")
    style.legend(figure, _entries(methods, shown))
    note = [
        "Points: test split at the selected α. Lines: validation along α. Hollow: CA is not kept.",
        alike("Points", factors_within(shown)),
        style.trials_left_out(records),
    ]
    style.titles(figure, f"{title}: {counted(len(shown), 'trial')}", " ".join(filter(None, note)))
    return figure


def _draw(axes: Axes, record: TrialRecord, look: dict[str, Any]) -> None:
    path = sorted(record.path, key=lambda point: point.alpha)
    if len(path) > 1:
        across, up = [point.asr for point in path], [point.ca for point in path]
        axes.plot(across, up, color=look["color"], linewidth=1.0, alpha=0.6, zorder=2)
    ca, asr = record.value("ca"), record.value("asr")
    if ca is None or asr is None:
        return
    fill = look["color"] if record.status == "done" else "white"
    axes.plot(asr, ca, **look, markersize=7, markerfacecolor=fill, alpha=0.9, zorder=3)


def _entries(methods: Sequence[str], shown: Sequence[TrialRecord]) -> list[Any]:
    drawn = {r.method for r in shown}
    entries = [style.heading("method")]
    entries += [
        style.key(name, **style.attack_look(name, methods), linewidth=1.0, markersize=6.5)
        for name in methods
        if name in drawn
    ]
    return [
        *entries,
        style.heading("models"),
        style.key("infected", color=style.INFECTED, linestyle="none", marker="X", markersize=9),
        style.key("clean", color=style.CLEAN, linestyle="none", marker="P", markersize=9),
    ]

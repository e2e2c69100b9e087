"""All attacks in one figure: ASR, CA and PA of the clean model, the infected model and after removal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tbar_ray.naming import counted
from tbar_ray.records.cells import (
    PANEL,
    counts_of_test,
    grouped,
    interval,
    one_per_cell,
    panel_names,
    panel_of,
    panels_of,
    preference,
    varying,
)
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = ("asr", "ca", "pa")
LEAST = 3
"""Attacks from which on the figure says more than the table."""
MOST = 60
"""Rows; of more cells, the best of each attack, source and method on validation is drawn."""


def attacks_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw a row per cell: infected model and result, joined by a line, with intervals, and the clean model.

    A trial without a result says why at the right.
    """
    cells = one_per_cell(records)
    if not cells:
        return style.message_figure("Attacks before and after removal", "No trial has ended yet.")
    chosen = cells
    if len(cells) > MOST:
        chosen = [min(group, key=preference) for group in grouped(cells, panel_of).values()]
    chosen = sorted(chosen, key=lambda r: r.attack)
    figure = style.new_figure(13.5, 0.34 * len(chosen) + 2.0)
    panels = list(figure.subplots(1, len(METRICS), sharey=True))
    for axes, metric in zip(panels, METRICS, strict=True):
        for row, record in enumerate(chosen):
            _draw(axes, row, record, metric)
        style.dress(axes)
        if metric == "asr":
            style.rare(axes, "x", few=True)
        else:
            style.percent(axes, "x", whole=True)
        axes.set_title(style.METRIC_NAMES[metric], fontsize=10.5, fontweight="bold", color=style.INK, loc="left")
    panels[0].set_yticks(range(len(chosen)), _labels(chosen), fontsize=9)
    panels[0].set_ylim(len(chosen) - 0.5, -0.5)
    for row, record in enumerate(chosen):
        if record.status != "done":
            _say_why(panels[-1], row, record)
    style.legend(
        figure,
        [
            style.key("infected", color=style.INFECTED, linestyle="none", marker="X", markersize=8),
            style.key("after removal", color=style.ATTACKS[0], linestyle="none", marker="o", markersize=7),
            style.key("clean model", color=style.CLEAN, linestyle="none", marker="|", markersize=10),
        ],
    )
    counts = counts_of_test(chosen, METRICS)
    heading = f"Attacks before and after removal: {counted(len(chosen), 'row')}, test split"
    style.titles(figure, f"{heading}, {counts}" if counts else heading, _note(records, cells, chosen))
    return figure


def _labels(chosen: Sequence[TrialRecord]) -> list[str]:
    """What tells rows apart: the panel, then every other axis that varies."""
    panels = panels_of(chosen)
    names = dict(zip(panels, panel_names(panels), strict=True))
    more = varying(chosen, without=PANEL)
    return [", ".join([names[panel_of(r)], *(factor.told(r.setting(factor.name)) for factor in more)]) for r in chosen]


def _draw(axes: Axes, row: int, record: TrialRecord, metric: str) -> None:
    clean, before, after = (record.value(metric, "clean"), record.value(metric, "infected"), record.value(metric))
    if before is not None and after is not None:
        axes.plot([before, after], [row, row], color="#bbbbbb", linewidth=1.2, zorder=1)
    if before is not None:
        axes.plot(before, row, color=style.INFECTED, marker="X", markersize=7, markeredgecolor="white", zorder=2)
    if (found := interval(record.rate(metric))) is not None:
        value, low, high = found
        fill = style.ATTACKS[0] if record.status == "done" else "white"
        axes.errorbar(
            value, row, xerr=[[value - low], [high - value]], color=style.ATTACKS[0], marker="o", markersize=6,
            markerfacecolor=fill, zorder=3,
        )  # fmt: skip
    if clean is not None:
        axes.plot(clean, row, color=style.CLEAN, marker="|", markersize=11, markeredgewidth=1.4, zorder=4)


def _say_why(axes: Axes, row: int, record: TrialRecord) -> None:
    """Write the status of a trial without a feasible result beside its row."""
    what = (record.reason or "no reason recorded").partition(":")[0] if record.status == "failed" else ""
    axes.annotate(
        what or "infeasible", (1, row), xycoords=("axes fraction", "data"), xytext=(4, 0), textcoords="offset points",
        fontsize=8, color=style.INFECTED, va="center",
    )  # fmt: skip


def _note(records: Sequence[TrialRecord], cells: Sequence[TrialRecord], chosen: Sequence[TrialRecord]) -> str:
    parts = ["At the selected α; bars are 95% Wilson intervals.", style.RARE_NOTE]
    if any(r.status == "infeasible" and r.value("ca") is not None for r in chosen):
        parts.append("Hollow: CA is not kept.")
    if len(chosen) < len(cells):
        parts.append(f"Of {len(cells)} cells, the best of each attack on validation.")
    return " ".join([*parts, style.trials_left_out(records)]).strip()

"""Every attack at a glance: ASR, CA and PA of the infected model and after removal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tbar_ray.campaign.figures import style
from tbar_ray.campaign.figures.cells import Record, count_text, interval, one_per_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

METRICS = ("asr", "ca", "pa")
LEAST = 3
"""Attacks from which on the figure says more than the table."""


def attacks_figure(records: Sequence[Record]) -> Figure:
    """Draw a row per cell: clean model, infected model and result, joined by a line, with intervals."""
    chosen = sorted(one_per_cell(records), key=lambda r: r["attack"])
    figure = style.new_figure(13.5, 0.34 * len(chosen) + 2.2)
    labels = [_label(r, chosen) for r in chosen]
    for place, (axes, metric) in enumerate(zip(figure.subplots(1, 3, sharey=True), METRICS, strict=True)):
        for row, record in enumerate(chosen):
            _draw(axes, row, record, metric)
        style.dress(axes)
        axes.set_xlim(-0.03, 1.03)
        style.percent(axes, "x", whole=True)
        axes.set_title(style.METRIC_NAMES[metric], fontsize=10.5, fontweight="bold", color=style.INK, loc="left")
        if place == 0:
            axes.set_yticks(range(len(chosen)), labels, fontsize=9)
            axes.set_ylim(len(chosen) - 0.5, -0.5)
    style.legend(
        figure,
        [
            style.key("clean model", color=style.CLEAN, linestyle="none", marker="|", markersize=9),
            style.key("infected", color=style.INFECTED, linestyle="none", marker="X", markersize=8),
            style.key("after removal", color=style.ATTACKS[0], linestyle="none", marker="o", markersize=7),
        ],
    )
    counts = count_text(chosen, ("ca", "asr", "pa"))
    note = "Test split, at the selected α; bars are 95% Wilson intervals. " + style.without_result(records)
    style.titles(figure, f"Attacks before and after removal, {counts}" if counts else "Attacks", note)
    return figure


def _label(record: Record, chosen: Sequence[Record]) -> str:
    parts = [record["attack"]]
    for name, form in (("source", "vector of {}"), ("method", "{}"), ("seed", "seed {}")):
        if len({r.get(name) for r in chosen}) > 1 and record.get(name) is not None:
            parts.append(form.format(record[name]))
    return ", ".join(parts) + (" (failed)" if record["status"] == "failed" else "")


def _draw(axes: Axes, row: int, record: Record, metric: str) -> None:
    clean, before, after = (record.get(f"{metric}{suffix}") for suffix in ("_clean", "_infected", ""))
    if before is not None and after is not None:
        axes.plot([before, after], [row, row], color="#bbbbbb", linewidth=1.2, zorder=1)
    if clean is not None:
        axes.plot(clean, row, color=style.CLEAN, marker="|", markersize=10, zorder=2)
    if before is not None:
        axes.plot(before, row, color=style.INFECTED, marker="X", markersize=7, markeredgecolor="white", zorder=3)
    if (found := interval(record, metric)) is not None:
        value, low, high = found
        axes.errorbar(
            value, row, xerr=[[value - low], [high - value]], color=style.ATTACKS[0], marker="o", markersize=6, zorder=4
        )

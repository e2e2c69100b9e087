"""Comparison of methods: a row for each, its ASR and CA on every attack, the best in colour."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from tbar_ray.naming import counted
from tbar_ray.records.cells import grouped, interval, reference, varies
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.error_bars import ErrorBars
from tbar_ray.report.ranking import best_per_method, ranked_methods

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

BESIDE = 2
"""Attacks side by side."""
BEST = 3
"""Methods of an attack that have colour; the others are grey."""
COLOUR = style.ATTACKS[0]
METRICS = ("asr", "ca")
HEADS = {"asr": "test ASR — lower is better", "ca": "test CA"}
LEAST_CA = 0.2
"""The CA axis begins at most this far below the infected model's; what kept less is named at its edge."""


def methods_figure(records: Sequence[TrialRecord], max_asr: float | None = None) -> Figure:
    """Draw each method in a row of its own, and for each attack its test ASR and CA with their intervals.

    Rows are in the order of the methods' ranks on validation, averaged over attacks. Of what a search tried of a
    method, the best on validation is drawn; seeds are drawn each. A hollow mark did not keep CA.

    Args:
        records: the trials.
        max_asr: validation ASR at which the backdoor counts as removed; None for the least.
    """
    title = "Unlearning methods: attack success and clean accuracy after removal"
    shown = [r for r in best_per_method(records, max_asr) if r.value("ca") is not None]
    if not shown:
        return style.message_figure(title, f"No trial has a result yet. {style.trials_left_out(records)}")
    attacks = grouped(shown, lambda r: (r.attack,))
    orders = [ranked_methods(members, max_asr) for members in attacks.values()]
    methods = _by_mean_rank(orders)
    blocks, beside = style.wrapped(len(attacks), BESIDE)
    figure = style.new_figure(1.9 + 3.9 * beside, 1.0 + blocks * (0.9 + 0.21 * len(methods)))
    grid = figure.subplots(blocks, 2 * beside, squeeze=False, sharey=True, width_ratios=[1.6, 1] * beside)
    panels = list(grid.flat)
    for place, ((attack,), members) in enumerate(attacks.items()):
        pair: list[Axes] = panels[2 * place : 2 * place + 2]
        for axes, metric in zip(pair, METRICS, strict=True):
            _draw(axes, members, metric, methods, set(orders[place][:BEST]))
        style.panel_title(pair[0], attack, style.INK)
    for axes in panels[2 * len(attacks) :]:
        axes.set_visible(False)
    _share_scale(panels[1 : 2 * len(attacks) : 2], list(attacks.values()), methods)
    _name_rows([row[0] for row in grid], methods, {name for order in orders for name in order[:BEST]})
    style.legend(figure, _entries(shown, others=len(methods) > BEST))
    style.titles(figure, f"{title}: {counted(len(shown), 'trial')}", _note(records, shown))
    return figure


def _by_mean_rank(orders: Sequence[Sequence[str]]) -> list[str]:
    """Methods by their mean place on the attacks that they were tried on, best first."""
    places: dict[str, list[int]] = {}
    for order in orders:
        for place, name in enumerate(order):
            places.setdefault(name, []).append(place)
    return sorted(places, key=lambda name: fmean(places[name]))


def _draw(axes: Axes, members: Sequence[TrialRecord], metric: str, methods: Sequence[str], best: set[str]) -> None:
    """Draw one score of one attack's trials, a row per method."""
    bars = ErrorBars(axes, zorder=2)
    for record in members:
        found = interval(record.rate(metric))
        if found is None:
            continue
        value, low, high = found
        row, colour = methods.index(record.method), COLOUR if record.method in best else style.GREY
        bars.along_x(low, high, row, colour, 0.7)
        fill = colour if record.status == "done" else "white"
        axes.plot(value, row, "o", color=colour, markerfacecolor=fill, markersize=6, zorder=3)
    bars.draw()
    for role, colour, dashes in style.REFERENCES:
        if (value_of := reference(members, role, metric)) is not None:
            axes.axvline(value_of, color=colour, linestyle=(0, dashes), linewidth=1.1, zorder=1)
    style.dress(axes)
    axes.set_xlabel(HEADS[metric])
    axes.tick_params(left=False, labelsize=8)
    if metric == "asr":
        style.rare(axes, "x", few=True)


def _share_scale(panels: Sequence[Axes], groups: Sequence[Sequence[TrialRecord]], methods: Sequence[str]) -> None:
    """Give all panels of CA one scale, which ends where CA is lost; marks beyond it are named at the edge."""
    shown = [record for members in groups for record in members]
    kept = [i[1] for r in shown if r.status == "done" and (i := interval(r.rate("ca"))) is not None]
    known = [value for role, _, _ in style.REFERENCES if (value := reference(shown, role, "ca")) is not None]
    top = max([*kept, *known], default=1.0)
    low = min([max(min(kept, default=top), top - LEAST_CA), *known, top - 0.05])
    for axes, members in zip(panels, groups, strict=True):
        axes.set_xlim(low, min(1.0, top + 0.02))
        style.percent(axes, "x", pad=0.06, ticks=3)
        beyond: dict[int, list[str]] = {}
        for record in members:
            if (value := record.value("ca")) is not None and value < axes.get_xlim()[0]:
                beyond.setdefault(methods.index(record.method), []).append(f"{value * 100:.0f}")
        for row, values in beyond.items():
            axes.annotate(
                f"◂ {', '.join(values)}%", (0, row), xycoords=("axes fraction", "data"), xytext=(2, 0), va="center",
                textcoords="offset points", fontsize=7.5, color=style.FAINT,
            )  # fmt: skip


def _name_rows(panels: Sequence[Axes], methods: Sequence[str], best: set[str]) -> None:
    """Write the methods beside their rows, best on top; those that are among the best of some attack in ink."""
    for axes in panels:
        axes.set_yticks(range(len(methods)), methods)
        axes.set_ylim(len(methods) - 0.4, -0.6)
        for label in axes.get_yticklabels():
            label.set(fontsize=9, color=style.INK if label.get_text() in best else style.FAINT)
            label.set_fontweight("bold" if label.get_text() in best else "normal")


def _entries(shown: Sequence[TrialRecord], others: bool) -> list[Line2D]:
    dot = {"marker": "o", "markersize": 6, "linestyle": "none"}
    entries = [style.key(f"best {BEST} of the attack", color=COLOUR, **dot)]
    if others:
        entries.append(style.key("others", color=style.GREY, **dot))
    if any(r.status != "done" for r in shown):
        entries.append(style.key("CA is not kept", color=style.GREY, markerfacecolor="white", **dot))
    for role, colour, dashes in style.REFERENCES:
        entries.append(style.key(f"{role} model", color=colour, linestyle=(0, dashes), linewidth=1.1))
    return entries


def _note(records: Sequence[TrialRecord], shown: Sequence[TrialRecord]) -> str:
    parts = [
        "Test split at the α selected on validation; bars are 95% Wilson intervals. Rows and colour: by validation.",
        style.RARE_NOTE,
    ]
    if varies(shown, "seed"):
        parts.append("Each seed has a mark.")
    if (others := len([r for r in records if r.value("ca") is not None]) - len(shown)) > 0:
        parts.append(f"Of what was tried of a method, the best on validation is shown: {counted(others, 'other')} not.")
    return " ".join(filter(None, [*parts, style.trials_left_out(records)]))

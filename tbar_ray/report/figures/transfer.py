"""Transfer: what a trigger vector learned on one infected model does to another."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tbar_ray.planning.axes import Factor
from tbar_ray.records.cells import counts_of_test, grouped, one_per_cell, reference, varies, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = (("asr", "ASR after removal", "OrRd"), ("ca_retention", "CA kept, of the infected model's", "YlGn"))
TOGETHER = ("attack", "source", "seed")
"""Axes that share a map; the values of any other get a row of maps each. Seeds are averaged."""
DARK = 0.6


def models_of(chosen: Sequence[TrialRecord]) -> tuple[list[str], list[str]]:
    """Attacks whose models are cleaned, and those whose vectors are applied, in one order."""
    attacks = list(dict.fromkeys(r.attack for r in chosen))
    sources = list(dict.fromkeys(r.source for r in chosen))
    sources.sort(key=lambda name: attacks.index(name) if name in attacks else len(attacks))
    return attacks, sources


def groups_of(chosen: Sequence[TrialRecord]) -> tuple[list[Factor], list[list[TrialRecord]]]:
    """The other axes that vary, and the records that agree in them."""
    factors = varying(chosen, without=TOGETHER)
    return factors, list(grouped(chosen, lambda r: tuple(r.setting(f.name) for f in factors)).values())


def transfer_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw ASR and CA kept at the selected α: infected models as rows, models of the vector as columns.

    The diagonal, a model's own vector, is framed. Several seeds are averaged.
    """
    title = "Transfer of trigger vectors"
    if not varies(records, "source"):
        return style.message_figure(title, "Every vector was applied to the model that it was learned on.")
    chosen = one_per_cell(records)
    attacks, sources = models_of(chosen)
    factors, groups = groups_of(chosen)
    longest = max(map(len, attacks))
    width = 0.86 * len(sources) + 0.085 * max(longest, 14) + 0.9
    figure = style.new_figure(max(2 * width, 7.0), (0.62 * len(attacks) + 1.5) * len(groups) + 0.9)
    grid = figure.subplots(len(groups), len(MAPS), squeeze=False)
    for row, members in enumerate(groups):
        for axes, (metric, name, colours) in zip(grid[row], MAPS, strict=True):
            _draw(axes, members, metric, colours, attacks, sources)
            of = ", ".join(factor.told(members[0].setting(factor.name)) for factor in factors)
            style.panel_title(axes, name, style.INK, line=of)
            axes.set_xlabel("vector learned on the model of", fontsize=9.5, color=style.INK)
        grid[row][0].set_ylabel("applied to the model of", fontsize=9.5, color=style.INK)
    counts = counts_of_test(chosen, ("ca", "asr"))
    style.titles(figure, f"{title}: test split, {counts}" if counts else f"{title}: test split", _note(records, chosen))
    return figure


def _draw(
    axes: Axes,
    members: Sequence[TrialRecord],
    metric: str,
    colours: str,
    attacks: Sequence[str],
    sources: Sequence[str],
) -> None:
    import numpy as np

    cells = grouped(members, lambda r: (attacks.index(r.attack), sources.index(r.source)))
    values = np.full((len(attacks), len(sources)), np.nan)
    for (row, column), group in cells.items():
        known = [value for r in group if (value := r.value(metric)) is not None]
        if known:
            values[row, column] = fmean(known)
    axes.set_facecolor("#eeeeee")
    axes.imshow(values, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for row, attack in enumerate(attacks):
        for column, source in enumerate(sources):
            value = float(values[row, column])
            measured = isfinite(value)
            text = f"{value * 100:.1f}%" if measured else _status(cells.get((row, column), []))
            ink = "white" if measured and value > DARK else style.INK
            axes.text(column, row, text, ha="center", va="center", fontsize=9.5 if measured else 8, color=ink)
            if attack == source:
                _frame(axes, column, row)
    axes.set_xticks(range(len(sources)), sources, fontsize=9, rotation=20, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(len(attacks)), [_label(a, members, metric) for a in attacks], fontsize=9)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def _status(group: Sequence[TrialRecord]) -> str:
    return group[0].status if group else "not run"


def _label(attack: str, members: Sequence[TrialRecord], metric: str) -> str:
    """Name of a row, on the map of ASR with that of the infected and of the clean model."""
    own = [r for r in members if r.attack == attack]
    found = [
        f"{value:.1%} {role}" for role in ("infected", "clean") if (value := reference(own, role, "asr")) is not None
    ]
    return f"{attack}\n{', '.join(found)}" if metric == "asr" and found else attack


def _frame(axes: Axes, column: int, row: int) -> None:
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"fill": False, "edgecolor": style.INK, "linewidth": 1.6}
    axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, **look))


def _note(records: Sequence[TrialRecord], chosen: Sequence[TrialRecord]) -> str:
    parts = [
        "α is selected on validation images of the model that the vector is applied to. Framed: a model's own vector. "
        "Under each name, ASR of its infected and of its clean model; both colour scales run from 0 to 100%."
    ]
    if varies(chosen, "seed"):
        parts.append("Means over seeds.")
    return " ".join([*parts, style.trials_left_out(records)]).strip()

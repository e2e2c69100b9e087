"""Transfer: what a trigger vector learned on one infected model does to another."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tbar_ray.records.cells import (
    CELL,
    Record,
    count_text,
    grouped,
    one_per_cell,
    reference,
    source_of,
    varies,
    varies_within,
)
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAPS = (("asr", "ASR after removal", "OrRd"), ("ca_retention", "CA kept, of the infected model's", "YlGn"))
APART = tuple(name for name in CELL if name not in ("attack", "source", "seed"))
"""Factors whose values get a row of maps each; seeds are averaged."""
DARK = 0.6


def models_of(chosen: Sequence[Record]) -> tuple[list[str], list[str]]:
    """Return the attacks whose models are cleaned, and those whose vectors are applied, in one order."""
    attacks = list(dict.fromkeys(r["attack"] for r in chosen))
    sources = list(dict.fromkeys(source_of(r) for r in chosen))
    sources.sort(key=lambda name: attacks.index(name) if name in attacks else len(attacks))
    return attacks, sources


def groups_of(chosen: Sequence[Record]) -> tuple[list[str], list[list[Record]]]:
    """Return the other factors that vary, and the records that agree in them."""
    names = [name for name in APART if varies_within(chosen, name)]
    return names, list(grouped(chosen, lambda r: tuple(r.get(name) for name in names)).values())


def transfer_figure(records: Sequence[Record]) -> Figure:
    """Draw ASR and CA kept at the selected α: infected models as rows, models of the vector as columns.

    The diagonal, a model's own vector, is framed. Several seeds are averaged.
    """
    title = "Transfer of trigger vectors"
    if not varies(records, "source"):
        return style.message_figure(title, "Every vector was applied to the model that it was learned on.")
    chosen = one_per_cell(records)
    attacks, sources = models_of(chosen)
    names, groups = groups_of(chosen)
    longest = max(map(len, attacks))
    width = 0.86 * len(sources) + 0.085 * max(longest, 14) + 0.9
    figure = style.new_figure(max(2 * width, 7.0), (0.62 * len(attacks) + 1.5) * len(groups) + 0.9)
    grid = figure.subplots(len(groups), len(MAPS), squeeze=False)
    for row, members in enumerate(groups):
        for axes, (metric, name, colours) in zip(grid[row], MAPS, strict=True):
            _draw(axes, members, metric, colours, attacks, sources)
            of = ", ".join(f"{factor.replace('_', ' ')} {members[0].get(factor)}" for factor in names)
            style.panel_title(axes, name, style.INK, line=of)
            axes.set_xlabel("vector learned on the model of", fontsize=9.5, color=style.INK)
        grid[row][0].set_ylabel("applied to the model of", fontsize=9.5, color=style.INK)
    counts = count_text(chosen, ("ca", "asr"))
    style.titles(figure, f"{title}: test split, {counts}" if counts else f"{title}: test split", _note(records, chosen))
    return figure


def _draw(
    axes: Axes, members: Sequence[Record], metric: str, colours: str, attacks: Sequence[str], sources: Sequence[str]
) -> None:
    import numpy as np

    cells = grouped(members, lambda r: (attacks.index(r["attack"]), sources.index(source_of(r))))
    values = np.full((len(attacks), len(sources)), np.nan)
    for (row, column), group in cells.items():
        known = [r[metric] for r in group if r.get(metric) is not None]
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


def _status(group: Sequence[Record]) -> str:
    return str(group[0]["status"]) if group else "not run"


def _label(attack: str, members: Sequence[Record], metric: str) -> str:
    """Return a row's name, on the map of ASR with that of the infected and of the clean model."""
    own = [r for r in members if r["attack"] == attack]
    found = [
        f"{value:.1%} {role}" for role in ("infected", "clean") if (value := reference(own, role, "asr")) is not None
    ]
    return f"{attack}\n{', '.join(found)}" if metric == "asr" and found else attack


def _frame(axes: Axes, column: int, row: int) -> None:
    from matplotlib.patches import Rectangle

    look: dict[str, Any] = {"fill": False, "edgecolor": style.INK, "linewidth": 1.6}
    axes.add_patch(Rectangle((column - 0.47, row - 0.47), 0.94, 0.94, **look))


def _note(records: Sequence[Record], chosen: Sequence[Record]) -> str:
    parts = [
        "α is selected on validation images of the model that the vector is applied to. Framed: a model's own vector. "
        "Under each name, ASR of its infected and of its clean model; both colour scales run from 0 to 100%."
    ]
    if varies(chosen, "seed"):
        parts.append("Means over seeds.")
    return " ".join([*parts, style.without_result(records)]).strip()

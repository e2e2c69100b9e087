"""Transfer: what a trigger vector of one model does to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tbar_ray.campaign.figures import style
from tbar_ray.campaign.figures.cells import Record, one_per_cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle


def varies(records: Sequence[Record]) -> bool:
    """Whether vectors of other models were applied."""
    return any(r.get("source") for r in records)


def transfer_figure(records: Sequence[Record]) -> Figure:
    """Draw ASR left and CA kept at the selected α, infected model (rows) by the vector's model (columns)."""
    chosen = one_per_cell(records)
    attacks = list(dict.fromkeys(r["attack"] for r in chosen))
    sources = list(dict.fromkeys(r.get("source") or r["attack"] for r in chosen))
    sources.sort(key=lambda name: attacks.index(name) if name in attacks else len(attacks))
    found = {(r["attack"], r.get("source") or r["attack"]): r for r in chosen}
    figure = style.new_figure(2 * (1.35 * len(sources) + 2.6), 0.8 * len(attacks) + 2.8)
    for axes, (metric, name, colours) in zip(
        figure.subplots(1, 2),
        (("asr", "ASR left", "Reds"), ("ca_retention", "CA kept", "Greens")),
        strict=True,
    ):
        _draw(axes, metric, colours, attacks, sources, found)
        axes.set_title(name, fontsize=11, fontweight="bold", color=style.INK, loc="left")
        axes.set_xlabel("vector learned on", fontsize=9.5)
    note = (
        "Test split, at the α selected on the infected model's own validation images. Framed: the model's own vector. "
        "Under each model, its ASR before. " + style.without_result(records)
    )
    style.titles(figure, "Transfer of trigger vectors", note)
    return figure


def _draw(
    axes: Axes,
    metric: str,
    colours: str,
    attacks: Sequence[str],
    sources: Sequence[str],
    found: dict[tuple[str, str], Record],
) -> None:
    import numpy as np

    values = np.full((len(attacks), len(sources)), np.nan)
    for (attack, source), record in found.items():
        if record.get(metric) is not None:
            values[attacks.index(attack), sources.index(source)] = record[metric]
    axes.set_facecolor("#dddddd")
    axes.imshow(values, cmap=colours, vmin=0, vmax=1, aspect="auto")
    for row, attack in enumerate(attacks):
        for column, source in enumerate(sources):
            value = values[row, column]
            status = found.get((attack, source), {}).get("status", "–")
            text = f"{value:.1%}" if np.isfinite(value) else status
            dark = np.isfinite(value) and value > 0.6
            axes.text(column, row, text, ha="center", va="center", fontsize=9.5, color="white" if dark else style.INK)
            if attack == source:
                axes.add_patch(_frame(column, row))
    before = {attack: r.get("asr_infected") for (attack, _), r in found.items()}
    labels = [f"{a}\n{before[a]:.1%} before" if before.get(a) is not None else a for a in attacks]
    axes.set_xticks(range(len(sources)), sources, rotation=20, ha="right", fontsize=9)
    axes.set_yticks(range(len(attacks)), labels, fontsize=9)
    axes.spines[:].set_visible(False)


def _frame(column: int, row: int) -> Rectangle:
    from matplotlib.patches import Rectangle

    return Rectangle((column - 0.48, row - 0.48), 0.96, 0.96, fill=False, edgecolor=style.INK, linewidth=1.6)

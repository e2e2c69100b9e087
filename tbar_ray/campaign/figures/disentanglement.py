"""Maps of the weight disentanglement error ξ(α_c, α_t), one row per attack: the sum and its two terms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.figures import style
from tbar_ray.campaign.figures.cells import Record, grouped

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = (("total", "ξ"), ("clean_term", "error on clean images"), ("triggered_term", "error on triggered images"))
HIGHEST = {"total": 2.0, "clean_term": 1.0, "triggered_term": 1.0}
MOST_MAPS = 12


def maps_of(records: Sequence[Record]) -> list[Record]:
    """Return one record of every attack and seed that has a map."""
    groups = grouped([r for r in records if r.get("disentanglement")], lambda r: (r["attack"], r["seed"]))
    return [group[0] for group in groups.values()]


def disentanglement_figure(records: Sequence[Record]) -> Figure:
    """Draw ξ and both of its terms over the grid, with the points (1, 1) and (1, −α) marked.

    Colours have one scale in the whole figure: 0 to 2 for ξ, 0 to 1 for a term.
    """
    title = "Weight disentanglement error"
    shown = maps_of(records)[:MOST_MAPS]
    if not shown:
        return style.message_figure(title, "No trial has a map.")
    figure = style.new_figure(13.2, 3.9 * len(shown) + 0.9)
    grid = figure.subplots(len(shown), len(PARTS), squeeze=False)
    attacks = [r["attack"] for r in records]
    several_seeds = len({r["seed"] for r in shown}) > 1
    for row, record in enumerate(shown):
        content = record["disentanglement"]
        for column, (part, name) in enumerate(PARTS):
            axes: Axes = grid[row][column]
            image = _draw(axes, content, part)
            figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02).set_label(name, fontsize=9)
            axes.set_xlabel("α_t (trigger vector)", fontsize=9.5)
            axes.set_ylabel("α_c (clean vector)", fontsize=9.5)
        seed = f" (seed {record['seed']})" if several_seeds else ""
        grid[row][0].set_title(
            f"{record['attack']}{seed}",
            fontsize=11,
            fontweight="bold",
            color=style.attack_colour(record["attack"], attacks),
            loc="left",
        )
    first = shown[0]["disentanglement"]
    note = (
        f"Share of images whose answer changes when the other vector is added: {first['n_c']} clean and "
        f"{first['n_t']} triggered images. Circle: (1, 1), both tasks learned; triangle: (1, −α), the trigger "
        "negated at the selected α, where the grid reaches it. Grey: the model gives no finite answer."
    )
    style.titles(figure, f"{title} ξ(α_c, α_t)", note)
    return figure


def values_of(content: Record, part: str) -> list[list[float]]:
    """Return a part of a map as rows over α_c, NaN where it is unknown."""
    nan = float("nan")
    if part != "total":
        return [[nan if v is None else float(v) for v in row] for row in content[part]]
    pairs = zip(values_of(content, "clean_term"), values_of(content, "triggered_term"), strict=True)
    return [[a + b for a, b in zip(*rows, strict=True)] for rows in pairs]


def _draw(axes: Axes, content: Record, part: str) -> Any:
    import numpy as np

    rows, columns = content["alphas_c"], content["alphas_t"]
    axes.set_facecolor("#bbbbbb")
    image = axes.pcolormesh(
        columns, rows, np.array(values_of(content, part)), cmap="viridis", vmin=0, vmax=HIGHEST[part], shading="nearest"
    )
    axes.set_aspect("equal")
    axes.axhline(0, color="white", linewidth=0.8)
    axes.axvline(0, color="white", linewidth=0.8)
    axes.tick_params(labelsize=8.5)
    marked = [(1.0, 1.0, "o", content.get("at_planted"))]
    if content.get("alpha") is not None:
        marked.append((-float(content["alpha"]), 1.0, "v", content.get("at_negated")))
    for x, y, marker, value in marked:
        if columns[0] <= x <= columns[-1] and rows[0] <= y <= rows[-1]:
            axes.plot(x, y, marker=marker, markersize=8, color="white", markeredgecolor=style.INK, zorder=5)
            if part == "total" and value is not None:
                axes.annotate(
                    f"{value:.2f}", (x, y), xytext=(7, 6), textcoords="offset points", fontsize=8.5, color="white",
                    bbox={"boxstyle": "round,pad=0.15", "facecolor": style.INK, "alpha": 0.6, "linewidth": 0},
                )  # fmt: skip
    return image

"""Maps of the weight disentanglement error ξ(α_c, α_t): the sum large, its two terms beside it."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.planning.axes import Factor
from tbar_ray.records.cells import grouped, one_per_cell, preference, varies, varying
from tbar_ray.records.measures import DisentanglementRecord
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    Grid = npt.NDArray[np.float64]

TERMS = (("clean_term", "clean term"), ("triggered_term", "triggered term"))
COLOURS = "magma_r"
MOST_MAPS = 12
BESIDE = 3
LARGE, SMALL = 2.8, 1.15
BLOCK = (LARGE + SMALL + 1.25, LARGE + 0.95)
HEAD, FOOT = 0.42, 0.75
"""Sizes in inches: sides of the maps, of a block of three, and what is above and below all blocks."""


def maps_of(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """One record of every map: the first seed of all attacks first, and in it one map of each attack first.

    Trials that share a map differ in the α that they select. That of the best trial on validation is used.
    """
    best = [min(group, key=preference) for group in _sharing(records)]
    turns = [sum((r.attack, r.seed) == (b.attack, b.seed) for b in best[:i]) for i, r in enumerate(best)]
    ordered = sorted(zip(best, turns, strict=True), key=lambda pair: (pair[0].seed, pair[1]))  # stable
    return [record for record, _ in ordered]


def factors_of_maps(records: Sequence[TrialRecord]) -> list[Factor]:
    """Axes beside attack and seed that tell maps apart: no trials that share a map differ in them."""
    groups = _sharing(records)
    found = varying([r for group in groups for r in group], without=("attack", "seed"))
    return [factor for factor in found if not any(varies(group, factor.name) for group in groups)]


def _sharing(records: Sequence[TrialRecord]) -> list[list[TrialRecord]]:
    """Trials that share an attack, a seed and the values of a map."""
    found = [r for r in one_per_cell(records) if r.disentanglement is not None]
    return list(grouped(found, lambda r: (r.attack, r.seed, *_values(r.disentanglement))).values())


def _values(content: DisentanglementRecord | None) -> tuple[object, ...]:
    return () if content is None else (content.clean_term, content.triggered_term, content.alphas_c, content.alphas_t)


def total_of(content: DisentanglementRecord) -> Grid:
    """ξ over α_c (rows) and α_t (columns), in [0, 2]; NaN where a term is unknown."""
    return sum((grid_of(content, term) for term, _ in TERMS), start=grid_of(content, TERMS[0][0]) * 0)


def grid_of(content: DisentanglementRecord, term: str) -> Grid:
    """One term over α_c (rows) and α_t (columns), in [0, 1]; NaN where it is unknown."""
    import numpy as np

    return np.array(getattr(content, term), dtype=np.float64)


def disentanglement_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw ξ and its terms, at most a dozen maps, with (1, 1) and (1, −α) marked.

    All maps share one scale, from 0 to 1 or to the greatest ξ, whichever is more. Cells without an answer are
    hatched.
    """
    import numpy as np

    found = maps_of(records)
    shown = found[:MOST_MAPS]
    if not shown:
        return style.message_figure("Weight disentanglement error ξ(α_c, α_t)", "No trial has a map.")
    contents = [r.disentanglement for r in shown if r.disentanglement is not None]
    known = [total[np.isfinite(total)] for total in map(total_of, contents)]
    largest = max((float(values.max()) for values in known if values.size), default=0.0)
    most = max(1.0, largest)
    rows, columns = style.wrapped(len(shown), BESIDE)
    sheet = _Sheet(rows, columns)
    attacks = [r.attack for r in records]
    several = len({r.seed for r in found}) > 1
    factors = factors_of_maps(records)
    names = [
        ", ".join([r.attack, *(f.told(r.setting(f.name)) for f in factors), *[f"seed {r.seed}"] * several])
        for r in shown
    ]
    names, size = style.fitted(names, LARGE + SMALL)
    for place, (record, content) in enumerate(zip(shown, contents, strict=True)):
        panels = sheet.panels(*divmod(place, columns))
        image = _draw_attack(panels, content, most)
        style.panel_title(panels[0], names[place], style.attack_colour(record.attack, attacks), size)
    bar = sheet.figure.colorbar(image, cax=sheet.bar())
    bar.set_label(f"error, from 0 to {most:.3g}", fontsize=9, color=style.INK)
    bar.ax.tick_params(labelsize=8.5)
    number = f"{len(shown)} of {len(found)} maps" if len(found) > len(shown) else counted(len(shown), "map")
    style.titles(sheet.figure, f"Weight disentanglement error ξ(α_c, α_t): {number}", _note(shown, contents, largest))
    return sheet.figure


class _Sheet:
    """A figure whose panels are squares at fixed places: many maps would otherwise squeeze one another."""

    def __init__(self, rows: int, columns: int) -> None:
        self._size = (columns * BLOCK[0] + 0.95, rows * BLOCK[1] + HEAD + FOOT)
        self.figure = style.new_figure(*self._size, arranged=False)

    def panels(self, row: int, column: int) -> list[Axes]:
        """The large panel of a block and its two small ones."""
        left, top = column * BLOCK[0] + 0.62, HEAD + 0.34 + row * BLOCK[1]
        beside = left + LARGE + 0.38
        low = top + LARGE - SMALL
        return [self._axes(left, top, LARGE), self._axes(beside, top + 0.02, SMALL), self._axes(beside, low, SMALL)]

    def bar(self) -> Axes:
        """Place of the colour bar, right of the first row."""
        return self._axes(self._size[0] - 0.85, HEAD + 0.34, 0.16, LARGE)

    def _axes(self, left: float, top: float, width: float, height: float | None = None) -> Axes:
        height = width if height is None else height
        across, down = self._size
        return self.figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))


def _draw_attack(panels: Sequence[Axes], content: DisentanglementRecord, most: float) -> Any:
    """Draw ξ into the first panel and its terms into the others."""
    large, *small = panels
    image = _heat(large, content, total_of(content), most)
    large.set_xlabel("α_c (clean vector)", fontsize=9.5)
    large.set_ylabel("α_t (trigger vector)", fontsize=9.5)
    for axes, (term, name) in zip(small, TERMS, strict=True):
        _heat(axes, content, grid_of(content, term), most)
        axes.set_title(name, fontsize=8.5, color=style.INK, loc="left", pad=3)
        axes.tick_params(labelsize=7)
        axes.locator_params(nbins=4, integer=True)
    low, high = content.alphas_t[0], content.alphas_t[-1]
    _mark(large, 1.0, "o", "(1, 1)", content.at_planted, above=True)
    near_foot = low + 0.2 * (high - low)
    alpha = content.alpha
    if alpha is not None and low <= -alpha <= high:
        _mark(large, -alpha, "v", f"(1, −{alpha:.3g})", content.at_negated, above=-alpha < near_foot)
    return image


def _heat(axes: Axes, content: DisentanglementRecord, values: Grid, most: float) -> Any:
    """Draw a grid with α_c to the right and α_t upwards, both axes at 0, and hatch what is unknown."""
    axes.set_facecolor("white")
    axes.patch.set(hatch="////", edgecolor="#888888", linewidth=0)
    image = axes.pcolormesh(
        content.alphas_c, content.alphas_t, values.T, cmap=COLOURS, vmin=0, vmax=most, shading="nearest"
    )
    axes.set_aspect("equal")
    for line in (axes.axhline, axes.axvline):
        line(0, color=style.INK, linewidth=0.8)
    axes.tick_params(labelsize=8.5)
    return image


def _mark(axes: Axes, alpha_t: float, marker: str, name: str, value: float | None, above: bool) -> None:
    """Mark (1, α_t) and write its name and ξ beside it."""
    axes.plot(1.0, alpha_t, marker=marker, markersize=8, color="white", markeredgecolor=style.INK, zorder=5)
    text = f"{name}\nξ = {value:.2f}" if value is not None and isfinite(value) else f"{name}\nξ unknown"
    axes.annotate(
        text, (1.0, alpha_t), xytext=(8, 5 if above else -5), textcoords="offset points", fontsize=8, color=style.INK,
        va="bottom" if above else "top", zorder=6,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.85, "linewidth": 0},
    )  # fmt: skip


def _note(shown: Sequence[TrialRecord], contents: Sequence[DisentanglementRecord], largest: float) -> str:
    counts = " and ".join(
        f"{low:,}{f'–{high:,}' if high > low else ''} {kind}"
        for found, kind in (([c.n_c for c in contents], "clean"), ([c.n_t for c in contents], "triggered images"))
        for low, high in [(min(found), max(found))]
    )
    outside = [
        f"{r.attack} (1, −{c.alpha:.3g})"
        for r, c in zip(shown, contents, strict=True)
        if c.alpha is not None and not c.alphas_t[0] <= -c.alpha <= c.alphas_t[-1]
    ]
    return " ".join(
        [
            "ξ is the share of clean images plus the share of triggered images whose answer changes when the other "
            f"vector is added ({counts}); the two terms are beside it, in the same colours.",
            f"Greatest ξ: {largest:.2f} of at most 2. Circle: both vectors added; triangle: the trigger negated at the "
            "selected α. Hatched: no finite answer.",
            f"Outside the grid: {', '.join(outside)}." if outside else "",
        ]
    ).strip()

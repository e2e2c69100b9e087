"""What removal costs: clean accuracy against attack success."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.records.cells import (
    Curve,
    counts_of_test,
    curves_of,
    in_panel,
    interval,
    one_per_cell,
    panel_names,
    panels_of,
    reference,
)
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.figures import style
from tbar_ray.report.figures.alpha_panels import panels_along_alpha
from tbar_ray.report.figures.error_bars import ErrorBars
from tbar_ray.report.figures.looks import Look, Looks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.transforms import Transform


LEAST_CA = 0.1
"""Points of CA that a panel spans at least."""
APART, STRIP, BAND = 8.0, 30.0, 10.0
"""Marks of equal results, in points: how far apart two are; how far many may go from an ASR of 0, and from another."""
GONE = 0.0005
"""ASR below which a mark stands left of 0, where no result can be."""
BEGIN = -0.01
"""Where the axis of ASR begins: it leaves room for that strip."""
FEW = 3
"""Panels up to which no panel compares them all."""


def tradeoff_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw CA against ASR: validation points joined along α, and test results at the selected α.

    Before many panels, one compares them: the test results of all, marked as the titles of the panels are. Cells of a
    single α are then in that one alone, where others have a path.
    """
    title = "Clean accuracy against attack success"
    shown = [r for r in records if r.path]
    if not shown:
        return style.message_figure(title, f"No trial has validation scores yet. {style.trials_left_out(records)}")
    panels = panels_of(shown)
    compared, looks = int(len(panels) > FEW), Looks(shown)
    marks = {panel: style.attack_look(panel.attack, [r.attack for r in records]) for panel in panels}
    groups = [(in_panel(shown, panel), marks[panel]) for panel in panels]
    without = ""
    if compared:
        panels, without = panels_along_alpha(shown)
    count = len(panels) + compared
    rows, columns = style.wrapped(count, FEW if count <= 2 * FEW else style.COLUMNS)
    width = 4.7 if columns <= FEW else 2.8
    figure = style.new_figure(width * columns + 2.1, width * 0.9 * rows + 0.9)
    places = list(figure.subplots(rows, columns, squeeze=False).flat)
    if compared:
        _compare(places[0], groups)
        style.panel_title(places[0], "all, selected α (test)", style.INK)
    names = panel_names(panels, panels_of(shown))
    if compared:
        names = [f"{style.GLYPHS[marks[panel]['marker']]} {name}" for panel, name in zip(panels, names, strict=True)]
    names, size = style.fitted(names, width)
    for axes, panel, name in zip(places[compared:], panels, names, strict=False):
        members = in_panel(shown, panel)
        for curve in curves_of(members, ("ca", "asr"), mean_of_seeds=False):
            _draw_path(axes, curve, looks.of(curve))
        bars, beside = ErrorBars(axes, zorder=4), _Beside(axes)
        _draw_models(axes, beside, members)
        for record in one_per_cell(members):
            _draw_test(axes, bars, beside, record, looks.of(record))
        bars.draw()
        style.panel_title(axes, name, marks[panel]["color"], size)
    for place, axes in enumerate(places):
        axes.set_visible(place < count)
        style.dress(axes)
        style.rare(axes, "x", low=BEGIN)
        axes.tick_params(axis="x", labelsize=9 if width > 4 else 7.5)
        if width > 4 or place + columns >= count:
            axes.set_xlabel("attack success rate (ASR) — lower is better" if width > 4 else "ASR — lower is better")
        if place % columns == 0:
            axes.set_ylabel("clean accuracy (CA) — higher is better" if width > 4 else "CA — higher is better")
    _share_scale(places[:count], shown)
    style.legend(figure, _entries(shown, looks))
    counts = counts_of_test(shown, ("ca", "asr"))
    note = [
        "Lines join validation points along α; bars are 95% Wilson intervals.",
        "Marks of equal results stand side by side, to the left; their CA is as drawn.",
        f"{style.RARE_NOTE} Points that lose more CA than any result are not shown.",
        looks.note(),
        style.trials_left_out(records),
        without,
    ]
    heading = f"{title}: {counted(len(shown), 'trial')}, validation paths and test results"
    style.titles(figure, f"{heading}, test {counts}" if counts else heading, " ".join(filter(None, note)))
    return figure


def _entries(shown: Sequence[TrialRecord], looks: Looks) -> list[Line2D]:
    look = {"color": "#aaaaaa", "linestyle": "none", "marker": "o"}
    entries = [
        *looks.entries(),
        style.heading("points"),
        style.key("one α, validation", **{**look, "markersize": 4}),
        style.key("selected α, test", **{**look, "markersize": 9, "markeredgecolor": style.INK}),
        style.key("infected, test", color=style.INFECTED, linestyle="none", marker="X", markersize=9),
        style.key("clean, test", color=style.CLEAN, linestyle="none", marker="P", markersize=9),
    ]
    if any(r.status == "infeasible" and r.value("ca") is not None for r in shown):
        entries.append(style.key("infeasible, test", **{**look, "markersize": 8, "markerfacecolor": "white"}))
    return entries


def _share_scale(panels: Sequence[Axes], shown: Sequence[TrialRecord]) -> None:
    """Give all panels the CA of the results and models; paths that go on to lose all of it leave the panel."""
    roles: tuple[Role, ...] = ("removed", "infected", "clean")
    known = [i for r in shown for role in roles if (i := interval(r.rate("ca", role))) is not None]
    if not known:
        known = [i for r in shown for p in r.path if (i := interval(p.scores.rate("ca"))) is not None]
    low, high = min(low for _, low, _ in known), max(value for value, _, _ in known)
    for axes in panels:
        axes.set_ylim(min(low, high - LEAST_CA), high)
        style.percent(axes, "y", pad=0.06)


def _compare(axes: Axes, groups: Sequence[tuple[Sequence[TrialRecord], dict[str, Any]]]) -> None:
    """Draw the test results of every panel, hollow where CA is not kept, and the mean of the infected models."""
    beside = _Beside(axes)
    _draw_models(axes, beside, [record for members, _ in groups for record in members])
    for members, look in groups:
        for record in one_per_cell(members):
            asr, ca = record.value("asr"), record.value("ca")
            if asr is not None and ca is not None:
                fill = look["color"] if record.status == "done" else "white"
                place = beside.transform(asr, ca)
                edge = "white" if record.status == "done" else look["color"]
                axes.plot(
                    asr, ca, **look, markersize=6.5, markerfacecolor=fill, markeredgecolor=edge, markeredgewidth=0.7,
                    transform=place,
                )  # fmt: skip


class _Beside:
    """Puts marks of equal results side by side, which would hide one another; none leaves its height."""

    def __init__(self, axes: Axes) -> None:
        self._axes = axes
        self._taken: dict[tuple[float, float], int] = {}

    def transform(self, asr: float, ca: float) -> Transform:
        """Where a mark goes: at its place, or to the left of those that are there, the closer the more there are."""
        from matplotlib.transforms import offset_copy

        place = round(asr, 3), round(ca, 2)
        self._taken[place] = count = self._taken.get(place, -1) + 1
        room = STRIP if asr < GONE else BAND
        left = room * count / (count + room / APART)
        return offset_copy(self._axes.transData, self._axes.get_figure(root=True), x=-left, y=0, units="points")


def _draw_path(axes: Axes, curve: Curve, look: Look) -> None:
    axes.plot(
        [value for value, _, _ in curve.scores["asr"]],
        [value for value, _, _ in curve.scores["ca"]],
        color=look.colour,
        linestyle=look.dashes,
        linewidth=1.1,
        marker=look.marker,
        markersize=3,
        alpha=0.75,
    )


def _draw_test(axes: Axes, bars: ErrorBars, beside: _Beside, record: TrialRecord, look: Look) -> None:
    ca, asr = interval(record.rate("ca")), interval(record.rate("asr"))
    if ca is None or asr is None:
        return
    feasible = record.status == "done"
    bars.along_x(asr[1], asr[2], ca[0], look.colour)
    bars.along_y(asr[0], ca[1], ca[2], look.colour)
    axes.plot(
        asr[0],
        ca[0],
        color=look.colour,
        marker=look.marker,
        markersize=8.5,
        markeredgecolor=style.INK if feasible else look.colour,
        markerfacecolor=look.colour if feasible else "white",
        zorder=4.1,
        transform=beside.transform(asr[0], ca[0]),
    )


def _draw_models(axes: Axes, beside: _Beside, members: Sequence[TrialRecord]) -> None:
    for role, colour, marker in style.MODELS:
        ca, asr = reference(members, role, "ca"), reference(members, role, "asr")
        if ca is not None and asr is not None:
            place = beside.transform(asr, ca)
            axes.plot(
                [asr], [ca], color=colour, marker=marker, markersize=9, markeredgecolor="white", zorder=5,
                transform=place,
            )  # fmt: skip

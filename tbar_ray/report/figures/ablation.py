"""The ablation: what each axis that varies does to ASR and CA on the test split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Any

from tbar_ray.naming import counted
from tbar_ray.planning.axes import Factor
from tbar_ray.records.cells import (
    counts_of_test,
    grouped,
    in_panel,
    interval,
    one_per_cell,
    panel_names,
    panels_of,
    reference,
    varies,
)
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.error_bars import ErrorBars
from tbar_ray.report.figures.looks import (
    MOST_COLOURS,
    MOST_DASHES,
    UNSET,
    factors_drawn,
    factors_within,
    levels_of,
)
from tbar_ray.report.figures.marks import Marks
from tbar_ray.report.figures.scale import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

METRICS = ("asr", "ca")
MOST_AXES = 4
"""Axes that are drawn; of more, the note names the others."""
ROOMY = 3
"""Panels up to which columns are wide."""
DARK = "0.12"
"""The grey of a single line, and of the first of several dashes."""
GAPS = {"infeasible": "v", "failed": "x"}


class _Lines:
    """The lines of a column: one per level of an axis, told apart by colour or by dash and marker.

    Args:
        records: all trials of the figure.
        factor: the axis; None where no other axis varies, which makes a single line.
        coloured: whether colour tells levels apart.
    """

    def __init__(self, records: Sequence[TrialRecord], factor: Factor | None, coloured: bool) -> None:
        self.factor = factor
        self._coloured = coloured
        most = MOST_COLOURS if coloured else MOST_DASHES
        self._levels = None if factor is None else levels_of(records, factor, most)
        self.keys: list[int | None] = [] if self._levels is None else [*range(len(self._levels))]
        if any(self._level(r) is None for r in records):
            self.keys.append(None)

    def members(self, records: Sequence[TrialRecord], level: int | None) -> list[TrialRecord]:
        """Records of a line; None: those without the axis, as of a method without the parameter."""
        return [r for r in records if self._level(r) == level]

    def _level(self, record: TrialRecord) -> int | None:
        value = None if self._levels is None else record.setting(self._levels.factor.name)
        return None if self._levels is None or value is None else self._levels.index(value)

    def look(self, level: int | None) -> dict[str, Any]:
        if self._levels is None:
            return {"color": DARK, "linestyle": "-", "marker": "o"}
        if level is None:
            return {"color": UNSET.colour, "linestyle": UNSET.dashes, "marker": UNSET.marker}
        if self._coloured:
            return {"color": style.level_colour(level, self._levels), "linestyle": "-", "marker": "o"}
        grey = f"{float(DARK) + 0.5 * level / max(1, len(self._levels) - 1):.2f}"
        dashes, marker = style.level_dashes(level)
        return {"color": grey, "linestyle": dashes, "marker": marker}

    def dodge(self, level: int | None) -> float:
        """A small shift in -1…1, so that bars of different lines stand side by side."""
        return 0.0 if len(self.keys) < 2 else 2 * self.keys.index(level) / (len(self.keys) - 1) - 1

    def entries(self) -> list[Line2D]:
        """Entries of the legend: the levels, under the axis's name; none for a single one."""
        if self._levels is None or len(self.keys) < 2:
            return []
        labels = [self._levels.factor.unset if level is None else self._levels.labels[level] for level in self.keys]
        keys = [
            style.key(label, linewidth=1.5, markersize=6, **self.look(level))
            for label, level in zip(labels, self.keys, strict=True)
        ]
        return [style.heading(self._levels.factor.title), *keys]


@dataclass(frozen=True)
class _View:
    """One column: a metric along an axis."""

    metric: str
    scale: Scale
    lines: _Lines


def _views(chosen: Sequence[TrialRecord]) -> list[_View]:
    """The columns: of each axis that varies both metrics, with lines for the next axis of those drawn."""
    around = factors_drawn(chosen)[:MOST_AXES]
    varying = [factor.name for factor in factors_within(chosen)]
    lines = {factor: _Lines(chosen, factor, coloured=place % 2 == 0) for place, factor in enumerate(around)}
    single = _Lines(chosen, None, coloured=False)
    views = []
    for place, factor in enumerate(around):
        if factor.name in varying:
            other = around[(place + 1) % len(around)]
            own = single if other == factor else lines[other]
            scale = Scale(chosen, factor)
            views += [_View(metric, scale, own) for metric in METRICS]
    return views


def ablation_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw test ASR and CA at the selected α against each axis that varies, for every attack, source and method.

    An attack or method without an axis has no panels for it; those that it has move up. Trials without a result are
    marked at the panel's edge and counted in the note.
    """
    title = "Ablation at the selected α"
    chosen = one_per_cell(records)
    if not any(r.value("ca") is not None for r in chosen):
        return style.message_figure(title, f"No trial has a test result. {style.trials_left_out(records)}")
    views = _views(chosen)
    if not views:
        return style.message_figure(title, "No axis varies between the trials of an attack and a method.")
    panels = panels_of(chosen)
    roomy = len(panels) <= ROOMY and len(views) <= len(METRICS) * 2
    rows, beside = style.wrapped(len(panels), max(1, (4 if roomy else style.COLUMNS) // len(views)))
    width, height = (3.4, 3.5) if roomy else (2.8, 2.6)
    figure = style.new_figure(width * beside * len(views) + 1.9, height * rows + 0.9)
    grid = figure.subplots(rows, beside * len(views), squeeze=False)
    attacks = [r.attack for r in records]
    names, size = style.fitted(panel_names(panels), width * len(views))
    for place, panel in enumerate(panels):
        row, block = divmod(place, beside)
        own = grid[row][block * len(views) : (block + 1) * len(views)]
        members = in_panel(chosen, panel)
        told = [view for view in views if any(view.scale.has(record) for record in members)]
        for axes, view in zip(own, told, strict=False):
            _draw_view(axes, view, members, said=len(views) > len(METRICS) * 2)
        for axes in own[len(told) :]:
            axes.set_visible(False)
        colour = style.attack_colour(panel.attack, attacks)
        style.panel_title(own[0], names[place], colour, size)
    for axes in grid.flat[len(panels) * len(views) :]:
        axes.set_visible(False)
    _share_scale(
        [
            axes
            for place, axes in enumerate(grid.flat[: len(panels) * len(views)])
            if views[place % len(views)].metric == "ca" and axes.get_visible()
        ]
    )
    style.legend(figure, _entries(views, chosen))
    heading = f"{title}: {counted(len(chosen), 'trial')}, test split, {counts_of_test(chosen, ('ca', 'asr'))}"
    style.titles(figure, heading, _note(records, chosen))
    return figure


def _share_scale(panels: Sequence[Axes]) -> None:
    """Give all panels of CA the range that any of them needs, so that a glance compares them."""
    ends = [end for axes in panels for end in axes.get_ylim()]
    for axes in panels:
        axes.set_ylim(min(ends), max(ends))


def _draw_view(axes: Axes, view: _View, members: Sequence[TrialRecord], said: bool) -> None:
    """Draw one panel, line by line; `said`: its axis tells which other axis the lines are of."""
    along, bars, marks = [r for r in members if view.scale.has(r)], ErrorBars(axes, capped=True), Marks(axes)
    for level in view.lines.keys:
        # in a random search the places themselves tell lines apart
        dodge = view.lines.dodge(level) if view.scale.few else 0.0
        _draw(axes, bars, marks, view, view.lines.members(along, level), view.lines.look(level), dodge)
    bars.draw()
    marks.draw()
    _references(axes, members, view.metric)
    style.dress(axes)
    if view.metric == "asr":
        style.rare(axes, "y")
    else:
        style.percent(axes, "y", pad=0.07)
    view.scale.dress(axes)
    if said and view.lines.factor is not None:
        axes.set_xlabel(f"{axes.get_xlabel()}\nlines: {view.lines.factor.title}")
    axes.set_ylabel(f"test {view.metric.upper()}")


def _draw(
    axes: Axes,
    bars: ErrorBars,
    marks: Marks,
    view: _View,
    group: Sequence[TrialRecord],
    look: dict[str, Any],
    dodge: float,
) -> None:
    by_place = grouped(group, lambda r: (view.scale.place(r, dodge),))
    means: list[tuple[float, float]] = []
    for (x,), members in sorted(by_place.items()):
        found = [(r, i) for r in members if (i := interval(r.rate(view.metric))) is not None]
        for record, (value, low, high) in found:
            several = len(found) > 1
            opacity = 0.45 if several else 1.0
            bars.along_y(x, low, high, look["color"], opacity)
            marks.add(
                x,
                value,
                color=look["color"],
                marker=look["marker"],
                markersize=4 if several else 6.5,
                markerfacecolor=look["color"] if record.status == "done" else "white",
                alpha=opacity,
                zorder=2.1,
            )
        feasible = [value for record, (value, _, _) in found if record.status == "done"]
        if feasible:
            means.append((x, fmean(feasible)))
            if len(found) > 1:
                marks.add(x, means[-1][1], color=look["color"], marker=look["marker"], markersize=7)
        for status, marker in GAPS.items():
            if any(r.status == status and r.value(view.metric) is None for r in members):
                edge = 0.985 if view.metric == "asr" else 0.015
                axes.plot(
                    x, edge, marker=marker, markersize=7.5, color=look["color"], markerfacecolor="white",
                    markeredgewidth=1.6, transform=axes.get_xaxis_transform(), clip_on=False, zorder=6,
                )  # fmt: skip
    if len(means) > 1 and view.scale.few:
        axes.plot(*zip(*means, strict=True), color=look["color"], linestyle=look["linestyle"], linewidth=1.5)


def _references(axes: Axes, members: Sequence[TrialRecord], metric: str) -> None:
    for role, colour, dashes in style.REFERENCES:
        value = reference(members, role, metric)
        if value is not None:
            axes.axhline(value, color=colour, linestyle=(0, dashes), linewidth=1.1, zorder=1)


def _entries(views: Sequence[_View], chosen: Sequence[TrialRecord]) -> list[Line2D]:
    entries = [entry for lines in dict.fromkeys(view.lines for view in views) for entry in lines.entries()]
    entries.append(style.heading("marks"))
    entries.append(style.key("infected model", color=style.INFECTED, linestyle=(0, (6, 3)), linewidth=1.1))
    entries.append(style.key("clean model", color=style.CLEAN, linestyle=(0, (2, 3)), linewidth=1.1))
    gap: dict[str, Any] = {
        "color": style.FAINT,
        "linestyle": "none",
        "markersize": 7,
        "markerfacecolor": "white",
    }
    for status, marker in GAPS.items():
        if any(r.status == status for r in chosen):
            entries.append(style.key(f"{status}, no result", marker=marker, markeredgewidth=1.6, **gap))
    if any(r.status == "infeasible" and r.value("ca") is not None for r in chosen):
        entries.append(style.key("infeasible, measured", marker="o", **gap))
    return entries


def _note(records: Sequence[TrialRecord], chosen: Sequence[TrialRecord]) -> str:
    parts = ["α is selected on validation; bars are 95% Wilson intervals of single trials.", style.RARE_NOTE]
    found = factors_within(chosen)
    if varies(chosen, "seed") or len(found) > 2:
        parts.append("Lines join means of feasible trials; small points are single trials.")
    if left := found[MOST_AXES:]:
        parts.append(f"Of {len(found)} axes the first {MOST_AXES} are drawn, not: {', '.join(f.title for f in left)}.")
    if (others := len(records) - len(chosen)) > 0:
        parts.append(f"Of trials that differ in α only, one is shown: {counted(others, 'other')} not selected.")
    parts.append(style.trials_left_out(records) or "All trials have a result.")
    return " ".join(parts)

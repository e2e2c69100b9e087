"""ξ and the trigger's geometry against the samples that pretraining saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tbar_ray.naming import counted
from tbar_ray.planning.axes import Setting
from tbar_ray.records.cells import grouped, panel_names
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.growth_axes import draw_seeds, line_looks, samples_axis
from tbar_ray.report.figures.growth_lines import GrowthLine, growth_lines, label_of, line_factors
from tbar_ray.report.figures.looks import Look
from tbar_ray.report.growth_measures import MEASURES, SIGNED, Read, values_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

TITLE = "ξ and the trigger's geometry by pretraining"
WIDTH, HEIGHT = 4.0, 2.5
"""Of a panel, in inches."""
_Values = tuple[Setting, ...]


def measured_lines(records: Sequence[TrialRecord]) -> list[GrowthLine]:
    """The lines of each attack's first method that have a disentanglement map at several numbers of samples.

    Other methods share all measures but the two at the trial's own α.
    """
    lines = [line for line in growth_lines(records, None) if _is_measured(line)]
    chosen: list[GrowthLine] = []
    for own in grouped(lines, lambda line: (line.panel.attack, line.panel.source)).values():
        chosen += [line for line in own if line.panel == own[0].panel]
    return chosen


def growth_geometry_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw a column of panels for each attack, a row for each measure, and a line for each width or other axis."""
    lines = measured_lines(records)
    if not lines:
        return style.message_figure(TITLE, "No line of a campaign has a disentanglement map at two numbers of samples.")
    panels = list(dict.fromkeys(line.panel for line in lines))
    rows = {name: read for name, read in MEASURES.items() if any(_measured(line, read) for line in lines)}
    looks, factors = line_looks(lines), line_factors(records)
    figure = style.new_figure(WIDTH * len(panels) + 2.4, HEIGHT * len(rows) + 1.2)
    grid = figure.subplots(len(rows), len(panels), squeeze=False, sharex=True, sharey="row")
    names, size = style.fitted(panel_names(panels), WIDTH)
    attacks = [record.attack for record in records]
    for row, (measure, read) in zip(grid, rows.items(), strict=True):
        row[0].set_ylabel(measure)
        for axes, panel in zip(row, panels, strict=True):
            for line in lines:
                if line.panel == panel:
                    _draw(axes, line, read, looks[line.values])
            style.dress(axes)
            if measure in SIGNED:
                axes.axhline(0, color=style.FAINT, linewidth=0.8, zorder=0)
    for axes, panel, name in zip(grid[0], panels, names, strict=True):
        style.panel_title(axes, name, style.attack_colour(panel.attack, attacks), size)
    for axes in grid[-1]:
        axes.set_xscale("log")
        samples_axis(axes)
    labels = {line.values: label_of(line, factors) for line in lines}
    style.legend(figure, _entries(labels, looks, ", ".join(factor.title for factor in factors)))
    style.titles(figure, f"{TITLE}: {counted(len(lines), 'line')}", _note(records))
    return figure


def _is_measured(line: GrowthLine) -> bool:
    return any(len(_measured(line, read)) > 1 for read in MEASURES.values())


def _measured(line: GrowthLine, read: Read) -> list[tuple[int, list[float]]]:
    """Samples and the measures of all seeds there, where there are any."""
    found = ((cell.samples, values_of(cell.records, read)) for cell in line.cells)
    return [(samples, values) for samples, values in found if values]


def _draw(axes: Axes, line: GrowthLine, read: Read, look: Look) -> None:
    """Means over seeds with 95 % bootstrap intervals, and single seeds small."""
    means = [(samples, draw_seeds(axes, samples, values, look.colour)) for samples, values in _measured(line, read)]
    if means:
        axes.plot(*zip(*means, strict=True), color=look.colour, marker=look.marker, markersize=6, linewidth=1.4)


def _entries(labels: Mapping[_Values, str], looks: Mapping[_Values, Look], title: str) -> list[Line2D]:
    entries = [style.heading(title)] if title else []
    for values, look in looks.items():
        if labels[values]:
            entries.append(
                style.key(labels[values], color=look.colour, marker=look.marker, markersize=6, linewidth=1.4)
            )
    return entries


def _note(records: Sequence[TrialRecord]) -> str:
    told = (
        "Samples are pairs × epochs of the clean model's training. ξ(1, −α) and ξ at equal length (as long a step "
        "along −τ_t as the trial takes along −τ) are at each trial's own α; a point outside the map is left out. τ_t: "
        "of triggered images towards the target; τ_y: of the same images unstamped. Bars: 95% bootstrap intervals over "
        "seeds."
    )
    return " ".join([told, style.trials_left_out(records)]).strip()

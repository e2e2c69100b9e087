"""Intervals drawn at once."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from tbar_ray.report.figures import ablation_figure, tradeoff_figure
from tbar_ray.report.figures.error_bars import ErrorBars
from tests.records.records import grid


def test_all_bars_of_a_panel_are_one_thing_and_each_has_its_ends_and_colour() -> None:
    axes = Figure().subplots()
    bars = ErrorBars(axes, zorder=3, capped=True)
    bars.along_x(0.1, 0.4, 0.5, "red")
    bars.along_y(2.0, 0.2, 0.9, "blue", 0.5)
    bars.draw()
    lines, caps = axes.collections
    assert isinstance(lines, LineCollection)
    assert [segment.tolist() for segment in lines.get_segments()] == [[[0.1, 0.5], [0.4, 0.5]], [[2, 0.2], [2, 0.9]]]
    assert [tuple(colour) for colour in lines.get_colors()] == [to_rgba("red"), to_rgba("blue", 0.5)]
    assert isinstance(caps, PathCollection)
    assert np.asarray(caps.get_offsets()).tolist() == [[0.1, 0.5], [0.4, 0.5], [2, 0.2], [2, 0.9]]
    assert (lines.get_zorder(), caps.get_zorder()) == (3, 3)
    assert axes.get_xlim()[0] < 0.1
    assert axes.get_xlim()[1] > 2


def test_a_panel_without_marks_has_no_bars() -> None:
    axes = Figure().subplots()
    ErrorBars(axes, capped=True).draw()
    assert list(axes.collections) == []


def test_more_trials_give_no_more_collections() -> None:
    for draw in (ablation_figure, tradeoff_figure):
        few, many = (
            [len(axes.collections) for axes in draw(grid(sizes=sizes)).axes if axes.get_visible()]
            for sizes in ((20, 300), (20, 50, 100, 300))
        )
        assert few == many

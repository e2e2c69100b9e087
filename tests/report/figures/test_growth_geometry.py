"""ξ and the trigger's geometry against samples: which lines, which rows, and at which places."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.axes import Axes

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import growth_geometry_figure
from tbar_ray.report.figures.growth_geometry import measured_lines
from tests.records.records import GROWTH, error_map, geometry, grown, record
from tests.report.figures.test_figures import boxes, legend_of, rendered, text_of

WIDTH = "model.architecture"


def mapped(attack: str, width: str, samples: int, seed: int = 0, method: str = "tbar") -> TrialRecord:
    """A trial whose ξ halves with each number of samples, and whose cosine tells attack and seed apart."""
    error = 0.4 / 2 ** GROWTH.index(samples)
    shape = geometry(cosine=(0.9 if attack == "badnets" else 0.5) + 0.01 * seed)
    found = error_map(error, at_equal_length=None if method == "tbar" else error, geometry=shape)
    return grown(attack, seed, samples, axes={WIDTH: width}, method=method, disentanglement=found)


def campaign(seeds: int = 3) -> list[TrialRecord]:
    return [
        mapped(attack, width, samples, seed, method)
        for method in ("tbar", "tbar-head")
        for attack in ("badnets", "blended")
        for width in ("pico", "tiny")
        for samples in GROWTH
        for seed in range(seeds)
    ]


def means(axes: Axes) -> list[list[tuple[float, float]]]:
    """Return the places of every line of several means."""
    lines = [(np.ravel(line.get_xdata()), np.ravel(line.get_ydata())) for line in axes.get_lines()]
    return [list(zip(x.tolist(), y.tolist(), strict=True)) for x, y in lines if len(set(x)) == len(GROWTH)]


def test_a_column_an_attack_and_a_row_each_measure_that_the_first_method_has() -> None:
    figure = growth_geometry_figure(campaign())
    assert [axes.get_title(loc="left") for axes in figure.axes[:2]] == ["badnets", "blended"]
    rows = [axes.get_ylabel() for axes in figure.axes[::2]]
    assert rows == ["ξ(1, 1)", "cos(τ_t, τ_y)", "‖τ_t‖ / ‖θ‖", "gradient overlap"]  # none at the trial's own α
    assert {line.panel.method for line in measured_lines(campaign())} == {"tbar"}
    rendered(figure)


def test_means_over_seeds_stand_at_their_samples() -> None:
    figure = growth_geometry_figure(campaign())
    planted, *_ = figure.axes
    halved = [(float(n), pytest.approx(0.8 / 2**i)) for i, n in enumerate(GROWTH)]
    assert means(planted) == [halved, halved]  # both widths
    for axes, cosine in zip(figure.axes[2:4], (0.91, 0.51), strict=True):
        assert means(axes) == [[(float(n), pytest.approx(cosine)) for n in GROWTH]] * 2
        single = [line for line in axes.get_lines() if line.get_marker() == "." and len(line.get_xdata()) == 3]
        seeds = pytest.approx([cosine - 0.01, cosine, cosine + 0.01])
        assert [sorted(line.get_ydata()) for line in single] == [seeds] * 2 * len(GROWTH)
        assert axes.get_xscale() == "log"


def test_each_width_has_an_entry() -> None:
    _, texts = legend_of(growth_geometry_figure(campaign(1)))
    assert [text.get_text() for text in texts] == ["architecture", "pico", "tiny"]


def test_a_line_of_one_map_is_none() -> None:
    one = [mapped("badnets", "pico", GROWTH[0]), grown("badnets", 0, GROWTH[1], axes={WIDTH: "pico"}), record()]
    assert measured_lines(one) == []
    figure = growth_geometry_figure(one)
    assert not figure.axes
    assert "two numbers of samples" in text_of(figure)


def test_the_same_records_are_the_same_picture_and_panels_stay_apart() -> None:
    figure = growth_geometry_figure(campaign(1))
    for parts in boxes(figure):
        for part in parts:
            assert 0 <= part.x0 < part.x1 <= figure.bbox.width
            assert 0 <= part.y0 < part.y1 <= figure.bbox.height
    assert rendered(figure) == rendered(growth_geometry_figure(campaign(1)))

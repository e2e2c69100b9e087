"""Figures of the report: what they draw, and that they are pictures and nothing else."""

from __future__ import annotations

import base64

import pytest

from tbar_ray.evaluation.rates import Rate
from tbar_ray.onemodel.figures import (
    MOST_LAYERS,
    alpha_curve,
    detectors_figure,
    layers_figure,
    rebound_figure,
)
from tbar_ray.onemodel.layers import LayerChange
from tbar_ray.onemodel.panels import DetectorResult, ReboundCurve
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.report.page import data_url


def test_a_figure_is_an_svg_in_a_data_url_and_the_same_every_time(cleaned: Cleaned) -> None:
    assert cleaned.examined.gate.scores is not None
    one, two = (data_url(alpha_curve(cleaned.walk, cleaned.alpha, cleaned.examined.gate.scores)) for _ in range(2))
    assert one == two
    head, _, content = one.partition(",")
    assert head == "data:image/svg+xml;base64"
    assert b"<svg" in base64.b64decode(content)


def test_the_curve_begins_at_the_model_that_came_in(cleaned: Cleaned) -> None:
    start = cleaned.examined.gate.scores
    assert start is not None
    (axes,) = alpha_curve(cleaned.walk, cleaned.alpha, start).axes
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) == len({0.0, *cleaned.walk.scores})]
    drawn = [list(line.get_ydata()) for line in lines]
    for metric in ("ca", "asr", "pa"):
        values = [getattr(scores, metric).value for _, scores in sorted({0.0: start, **cleaned.walk.scores}.items())]
        assert values in drawn, metric


def test_layers_are_in_the_order_of_the_model_and_only_the_most_changed_are_drawn() -> None:
    changes = [LayerChange(f"layer {row}", 1, row / 100, row / 1000) for row in range(MOST_LAYERS + 10)]
    (axes,) = layers_figure(changes).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [f"layer {row}" for row in range(10, MOST_LAYERS + 10)]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([change.relative for change in changes[10:]])


def test_a_layer_that_was_all_zeros_is_drawn_like_the_most_changed() -> None:
    (axes,) = layers_figure([LayerChange("a", 1, 0.2, 0.5), LayerChange("b", 1, float("inf"), 0.5)]).axes
    assert [bar.get_width() for bar in axes.patches] == [0.2, 0.2]


def test_a_detectors_score_stands_among_those_of_reference_models() -> None:
    result = DetectorResult("decree", 0.05, (0.3, 0.4), (0.04,), 0.1, False, Rate.of(1, 20), Rate.of(2, 20))
    assert result.alarmed
    (axes,) = detectors_figure([result]).axes
    dots = [(list(map(float, line.get_xdata())), line.get_marker()) for line in axes.get_lines()]
    assert ([0.3, 0.4], "o") in dots
    assert ([0.04], "o") in dots
    assert ([0.05], "D") in dots


def test_a_rebound_is_asr_against_steps() -> None:
    rates = (Rate.of(1, 9), Rate.of(3, 9))
    (axes,) = rebound_figure([ReboundCurve("cleaned", (0, 10), rates, rates)]).axes
    assert [list(line.get_xdata()) for line in axes.get_lines()] == [[0, 10], [0, 10]]
    assert list(axes.get_lines()[0].get_ydata()) == [rate.value for rate in rates]

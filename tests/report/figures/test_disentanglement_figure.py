from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from tbar_ray.records.measures import DisentanglementRecord
from tbar_ray.report.figures import disentanglement_figure
from tbar_ray.report.figures.disentanglement_figure import MOST_MAPS, factors_of_maps, maps_of, total_of
from tests.records.records import error_map, record
from tests.report.figures.test_figures import rendered, text_of


def uneven(alpha: float | None = 1.5, at_negated: float | None = 0.35, scale: float = 0.1) -> DisentanglementRecord:
    """A map that differs along both axes: clean term α_t² · scale, triggered term |α_c| · scale, on 5 × 5 points."""
    alphas = (-2.0, -1.0, 0.0, 1.0, 2.0)
    return DisentanglementRecord(
        alphas_c=alphas,
        alphas_t=alphas,
        clean_term=tuple(tuple(t * t * scale for t in alphas) for _ in alphas),
        triggered_term=tuple(tuple(abs(c) * scale for _ in alphas) for c in alphas),
        n_c=600,
        n_t=590,
        vectors={},
        at_planted=0.2,
        at_negated=at_negated,
        alpha=alpha,
    )


def heat(axes: Axes) -> Any:
    (mesh,) = axes.collections
    return mesh


def test_clean_coefficients_run_to_the_right_and_trigger_coefficients_upwards() -> None:
    figure = disentanglement_figure([record(disentanglement=uneven())])
    large, clean, triggered, bar = figure.axes
    assert large.get_xlabel().startswith("α_c")
    assert large.get_ylabel().startswith("α_t")
    rows = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
    expected = rows[:, None] ** 2 / 10 + np.abs(rows)[None, :] / 10  # [α_t, α_c]: rows are drawn upwards
    assert np.asarray(heat(large).get_array()) == pytest.approx(expected)
    assert np.asarray(heat(clean).get_array()) == pytest.approx(np.tile(rows[:, None] ** 2 / 10, 5))
    assert np.asarray(heat(triggered).get_array()) == pytest.approx(np.tile(np.abs(rows) / 10, (5, 1)))
    assert heat(large).get_clim() == heat(clean).get_clim() == heat(triggered).get_clim() == (0, 1)
    assert bar.get_ylabel() == "error, from 0 to 1"
    assert large.get_aspect() == 1
    zero = [line for line in large.lines if len(line.get_xdata()) == 2]
    assert list(zero[0].get_ydata()) == [0, 0]
    assert list(zero[1].get_xdata()) == [0, 0]


def test_planted_and_negated_are_marked_with_their_error() -> None:
    large = disentanglement_figure([record(disentanglement=uneven())]).axes[0]
    marks = {tuple(line.get_xydata()[0]): line.get_marker() for line in large.lines if len(line.get_xdata()) == 1}
    assert marks == {(1.0, 1.0): "o", (1.0, -1.5): "v"}
    said = {text.xy: text.get_text() for text in large.texts}
    assert said == {(1.0, 1.0): "(1, 1)\nξ = 0.20", (1.0, -1.5): "(1, −1.5)\nξ = 0.35"}


def test_a_point_outside_the_grid_is_named_instead() -> None:
    figure = disentanglement_figure([record(disentanglement=uneven(10.0, at_negated=None))])
    marks = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 1]
    assert len(marks) == 1
    assert "Outside the grid: badnets (1, −10)" in text_of(figure)


def test_the_scale_goes_beyond_one_only_where_an_error_does() -> None:
    figure = disentanglement_figure([record(disentanglement=error_map(0.7)), record("sig", disentanglement=uneven())])
    assert {heat(axes).get_clim() for axes in figure.axes[:-1]} == {(0, 1.4)}
    assert figure.axes[-1].get_ylabel() == "error, from 0 to 1.4"


def test_cells_without_an_answer_are_masked_and_hatched() -> None:
    figure = disentanglement_figure([record(disentanglement=error_map())])
    large, clean, triggered = figure.axes[:3]
    for axes, unknown in ((large, 1), (clean, 1), (triggered, 0)):
        values = np.ma.masked_invalid(heat(axes).get_array())
        assert np.ma.count_masked(values) == unknown
        assert axes.patch.get_hatch()
    assert np.isnan(total_of(error_map())[0, 0])
    rendered(figure)


def test_a_map_is_drawn_once_with_the_alpha_of_the_best_trial() -> None:
    bad, good = (  # a larger forget set removes more
        made.model_copy(update={"disentanglement": uneven(made.alpha)}) for made in (record(size=20), record(size=300))
    )
    (shown,) = maps_of([bad, good, record("blended")])
    assert shown is good
    assert maps_of([record("blended")]) == []
    assert factors_of_maps([bad, good]) == []  # the forget set changes no map


def test_at_most_a_dozen_maps_and_every_attack_before_a_second_seed() -> None:
    records = [record(f"a{i}", seed=seed, disentanglement=uneven()) for i in range(8) for seed in (0, 1)]
    figure = disentanglement_figure(records)
    titles = [axes.get_title(loc="left") for axes in figure.axes if axes.get_title(loc="left").startswith("a")]
    assert titles == [f"a{i}, seed 0" for i in range(8)] + [f"a{i}, seed 1" for i in range(4)]
    assert len(titles) == MOST_MAPS
    assert "12 of 16 maps" in text_of(figure)
    frames = [axes.get_position() for axes in figure.axes]
    assert all(0 <= f.x0 < f.x1 <= 1 and 0 <= f.y0 < f.y1 <= 1 for f in frames)
    assert not any(
        min(a.x1, b.x1) > max(a.x0, b.x0) and min(a.y1, b.y1) > max(a.y0, b.y0)
        for i, a in enumerate(frames)
        for b in frames[i + 1 :]
    )


def test_an_axis_that_changes_the_map_has_maps_of_its_own_named_by_it() -> None:
    records = [
        record(attack, size=size, axes={"model.training.epochs": epochs}, disentanglement=uneven(scale=epochs / 30))
        for attack in ("a", "b")
        for epochs in (1, 3)
        for size in (20, 300)
    ]
    assert [factor.name for factor in factors_of_maps(records)] == ["model.training.epochs"]
    figure = disentanglement_figure(records)
    titles = [axes.get_title(loc="left") for axes in figure.axes if "epochs" in axes.get_title(loc="left")]
    assert titles == ["a, epochs 1", "b, epochs 1", "a, epochs 3", "b, epochs 3"]

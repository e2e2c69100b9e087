from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes

from tbar_ray.records.cells import curves_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import alpha_figure
from tbar_ray.report.figures.alpha_overlay import BOUND
from tbar_ray.report.figures.flat import Flat, Rule, flat_of, in_words
from tests.records.records import epochs_grid, grid, infeasible, masked, matrix, rate, record, scores
from tests.report.figures.test_figures import legend_of, text_of


def spans(axes: Axes) -> list[tuple[float, float]]:
    """The shaded ranges of a panel."""
    return [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]


def lines_under_title(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


RULE = Rule(min_retention=0.9, max_asr=0.03)


def met(low: float | None, high: float = 1.0, *cell: Any, **more: Any) -> TrialRecord:
    """A trial of 11 α that meets the rule from one α to another; None: at no α."""
    made = record(*cell, **more)
    path = []
    for point in made.path:
        kept = scores(0.7742 if point.alpha <= high + 0.01 else 0.1, 0.5, 0.5)
        gone = low is not None and point.alpha >= low - 0.01
        at = kept.model_copy(update={"asr": rate(0.03, 1000)}) if gone else kept
        path.append(point.model_copy(update={"scores": at}))
    return made.model_copy(update={"path": tuple(path), "alpha": None})


def flat_of_cell(records: Sequence[TrialRecord]) -> Flat | None:
    (curve,) = curves_of(records, ("ca",), mean_of_seeds=True)
    return flat_of(curve, RULE)


def test_one_cell_a_panel_has_all_scores_in_it_with_the_selected_alpha_marked() -> None:
    made = record()
    (axes,) = alpha_figure([made]).axes
    curves = {line.get_label(): line for line in axes.lines if len(line.get_xdata()) == 11}
    assert len(curves) == 3
    found = [np.asarray(line.get_ydata()) for line in axes.lines if len(line.get_xdata()) == 11]
    for metric, values in zip(("ca", "asr", "pa"), found, strict=True):
        assert values == pytest.approx([getattr(point, metric) for point in made.path])
    marks = {tuple(line.get_xydata()[0]) for line in axes.lines if len(line.get_xdata()) == 1}
    point = made.selected_point
    assert marks == {(made.alpha, getattr(point, metric)) for metric in ("ca", "asr", "pa")}
    levels = [line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]]
    assert levels == pytest.approx([0.95 * made.path[0].ca, made.value("ca", "clean"), made.value("asr", "clean")])


def test_the_range_that_meets_the_rule_is_shaded_and_the_rule_is_told() -> None:
    figure = alpha_figure([met(0.4, 0.8)], RULE)
    (axes,) = figure.axes
    assert spans(axes) == [pytest.approx((0.4, 0.8), abs=0.001)]
    assert lines_under_title(axes) == ["rule met, α width 0.4"]
    text = text_of(figure)
    assert "rule is met" in text
    assert "Rule that selects α: ASR ≤ 3% and CA ≥ 90% of the infected model's." in text
    bounds = [line.get_ydata()[0] for line in axes.lines if line.get_linewidth() == BOUND["linewidth"]]
    assert bounds == pytest.approx([0.9 * met(0.4).path[0].ca, 0.03])


def test_without_a_highest_asr_the_rule_is_of_ca_alone() -> None:
    (axes,) = alpha_figure([met(0.4, 0.8)], Rule(0.9)).axes
    assert spans(axes) == [pytest.approx((0.0, 0.8), abs=0.001)]
    assert "ASR ≤" not in text_of(axes.figure)


def test_a_range_that_meets_the_end_of_the_path_may_be_wider() -> None:
    (axes,) = alpha_figure([met(0.7)], RULE).axes
    assert lines_under_title(axes) == ["rule met, α width ≥ 0.3"]


def test_without_a_range_nothing_is_shaded() -> None:
    figure = alpha_figure([met(None)], RULE)
    assert spans(figure.axes[0]) == []
    assert lines_under_title(figure.axes[0]) == ["no α meets the rule"]
    bisected = alpha_figure([met(0.4).model_copy(update={"path_falls": True})], RULE)
    assert lines_under_title(bisected.axes[0]) == [], "too few α are scored to say"
    assert "rule is met" not in text_of(bisected)


def test_seeds_share_the_range_in_which_all_of_them_meet_the_rule() -> None:
    records = [met(low, high, seed=seed) for seed, (low, high) in enumerate(((0.3, 0.7), (0.4, 0.9), (0.3, 0.8)))]
    found = flat_of_cell(records)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.4, 0.7), abs=0.001)
    assert in_words([found]) == "rule met in all 3 seeds, α width 0.3"
    records[0] = met(None)
    assert in_words([flat_of_cell(records)]) == "rule met in 2 of 3 seeds"
    records[0] = met(0.1, 0.2)
    assert in_words([flat_of_cell(records)]) == "no α meets the rule in all 3 seeds"


def test_several_lines_of_a_panel_have_bars_in_the_panel_of_asr() -> None:
    ranges = ((0.4, 0.5), (None, 1.0), (0.5, 0.8), (0.6, 1.0))
    cells = [(size, fraction) for size in (20, 300) for fraction in (0.0, 0.5)]
    records = [met(*found, "badnets", *cell) for cell, found in zip(cells, ranges, strict=True)]
    figure = alpha_figure(records, RULE)
    ca, asr, _ = figure.axes
    bars = [tuple(line.get_xdata()) for line in asr.lines if line.get_transform() != asr.transData]
    drawn = np.asarray([bar for bar in bars if bar != (0, 1)])
    assert drawn == pytest.approx(np.asarray([(0.4, 0.5), (0.5, 0.8), (0.6, 1.0)]), abs=0.001)
    assert spans(asr) == []
    assert lines_under_title(ca) == ["rule met by 3 of 4, α width 0.1 to ≥ 0.4"]


def test_cells_of_one_alpha_have_no_panel_where_others_have_a_path() -> None:
    single = [record(method=name, alphas=(0.5,)) for name in ("finetune", "prune")]
    figure = alpha_figure([record(), *single])
    assert [axes.get_title(loc="left") for axes in figure.axes if axes.get_visible()] == ["badnets · tbar"]
    assert "Without a panel: 2 cells of one α" in text_of(figure)
    alone = alpha_figure(single)
    assert len([axes for axes in alone.axes if axes.get_visible()]) == 2
    assert "Without a panel" not in text_of(alone)


def test_a_far_bound_does_not_flatten_the_curves() -> None:
    cells = [record(size=size) for size in (20, 300)]
    near, far = (alpha_figure(cells, Rule(kept, 0.03)).axes[0].get_ylim() for kept in (0.95, 0.1))
    assert near == far


def test_an_infeasible_trial_has_a_curve_but_no_selected_alpha() -> None:
    (axes,) = alpha_figure([infeasible()]).axes
    assert [line for line in axes.lines if len(line.get_xdata()) == 1] == []


def test_a_matrix_has_a_panel_for_every_attack_that_took() -> None:
    figure = alpha_figure(matrix())
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert len(shown) == 21
    last = next(axes for axes in shown if axes.get_title(loc="left") == "badmerging-ties")
    assert lines_under_title(last)[0].startswith("rule met, α width")


def test_a_range_that_meets_the_start_of_the_path_may_be_wider() -> None:
    assert in_words([flat_of_cell([met(0.0, 0.5)])]) == "rule met, α width ≥ 0.5"


def test_lines_of_an_axis_without_a_short_name_have_colours_that_the_legend_tells() -> None:
    figure = alpha_figure(epochs_grid((1, 3)))
    legend = {text.get_text(): handle for handle, text in zip(*legend_of(figure), strict=True)}
    assert "epochs" in legend
    assert "forget set" not in legend
    colours = {label: legend[label].get_color() for label in ("1", "3")}
    assert colours["1"] != colours["3"]
    ca = figure.axes[0]
    assert [line.get_color() for line in ca.lines if len(line.get_xdata()) == 11] == [colours["1"], colours["3"]]


def of_three_axes() -> list[TrialRecord]:
    """Trials of which two each have one look."""
    return [
        record(size=size, fraction=fraction, axes={"model.training.epochs": epochs})
        for size in (20, 300)
        for fraction in (0.0, 0.5)
        for epochs in (1, 3)
    ]


def test_lines_that_differ_in_a_third_axis_are_told_in_the_note() -> None:
    records = of_three_axes()
    assert "Lines of one look differ in: epochs." in text_of(alpha_figure(records))
    assert "Lines of one look differ" not in text_of(alpha_figure(grid()))


def test_attacks_with_poisoning_rates_of_their_own_need_no_look_for_it() -> None:
    records = [*grid(), *(record("sig", size, poisoning_rate=0.05) for size in (20, 300))]
    text = text_of(alpha_figure(records))
    assert "poisoned" not in text
    assert "Lines of one look differ" not in text


def dotted(axes: Axes) -> list[list[float]]:
    """The values along α of the thin lines."""
    lines = [line for line in axes.lines if len(line.get_xdata()) == 11 and line.get_linewidth() < 1]
    return [list(np.asarray(line.get_ydata(), float)) for line in lines]


def test_scores_with_the_other_statistics_are_thin_lines_where_models_have_any() -> None:
    made = masked()
    figure = alpha_figure([made])
    (axes,) = figure.axes
    expected = [
        [p.as_applied.rate(metric).value for p in made.path if p.as_applied is not None]
        for metric in ("ca", "asr", "pa")
    ]
    assert dotted(axes) == expected
    assert "statistics as applied" in text_of(figure)
    plain = alpha_figure([record()])
    assert dotted(plain.axes[0]) == []
    assert "statistics" not in text_of(plain)


def test_thin_lines_are_in_stacked_panels_too() -> None:
    figure = alpha_figure([masked(size=20), masked(size=300)])
    assert [len(dotted(axes)) for axes in figure.axes] == [2, 2, 2]
    assert "α is selected on the thick ones" in text_of(figure)


def test_lines_of_one_look_are_one_with_gaps_that_has_every_curve_and_its_marks() -> None:
    records = of_three_axes()
    ca = alpha_figure(records).axes[0]
    lines = [line for line in ca.lines if len(line.get_xdata()) == 2 * 11 + 1]
    assert len(lines) == 4
    drawn = [part for line in lines for part in np.split(np.asarray(line.get_ydata(), float), [11, 12])[::2]]
    made = [[p.ca for p in r.path] for r in records]
    assert sorted(map(list, drawn)) == sorted(made)
    assert all(np.isnan(np.asarray(line.get_ydata(), float)[11]) for line in lines)
    assert [line.get_markevery() for line in lines] == [[*range(11), *range(12, 23)]] * 4

from __future__ import annotations

import pytest
from matplotlib.axes import Axes

from tbar_ray.report.figures import transfer_figure
from tbar_ray.report.figures.transfer import groups_of
from tests.records.records import failed, infeasible, moved, record
from tests.report.figures.test_figures import rendered, text_of


def cells(axes: Axes) -> dict[tuple[float, float], str]:
    """The text of every cell by (row, column)."""
    return {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in axes.texts}


def ticks(axes: Axes, which: str) -> list[str]:
    return [label.get_text() for label in (axes.get_xticklabels() if which == "x" else axes.get_yticklabels())]


def test_rows_are_infected_models_and_columns_are_sources() -> None:
    records = [
        moved("a", "a", 0.01), moved("a", "b", 0.6, ca=0.4), moved("b", "a", 0.3), moved("b", "b", 0.02),
    ]  # fmt: skip
    asr, kept = transfer_figure(records).axes
    assert ticks(asr, "x") == ticks(kept, "x") == ["a", "b"]
    assert ticks(asr, "y") == ["a\n97.9% infected, 1.2% clean", "b\n97.9% infected, 1.2% clean"]
    assert ticks(kept, "y") == ["a", "b"]
    assert cells(asr) == {(0, 0): "1.0%", (0, 1): "60.0%", (1, 0): "30.0%", (1, 1): "2.0%"}
    assert cells(kept)[0, 1] == f"{records[1].ca_retention:.1%}" == f"{0.4 / 0.857:.1%}"
    for axes in (asr, kept):
        (image,) = axes.images
        assert image.get_clim() == (0, 1)
        frames = [(patch.get_x() + patch.get_width() / 2, patch.get_y() + 0.47) for patch in axes.patches]
        assert frames == [pytest.approx((0, 0)), pytest.approx((1, 1))]


def test_trials_without_a_result_say_so() -> None:
    records = [
        moved("a", "a", 0.01), failed("a", source="b"), infeasible("b", source="a"), moved("c", "b", 0.2),
    ]  # fmt: skip
    figure = transfer_figure(records)
    found = cells(figure.axes[0])
    assert found[0, 1] == "failed"
    assert found[1, 0] == "infeasible"
    assert found[2, 0] == "not run"
    assert "Of 4 trials, 1 failed and 1 infeasible" in text_of(figure)
    rendered(figure)


def test_seeds_are_averaged_and_other_factors_are_not() -> None:
    seeds = [moved("a", "b", asr, seed=seed) for seed, asr in enumerate((0.2, 0.4))]
    figure = transfer_figure([*seeds, moved("a", "a", 0.1)])
    assert cells(figure.axes[0])[0, 1] == "30.0%"
    assert "Means over seeds" in text_of(figure)
    sizes = transfer_figure([moved("a", "b", 0.2, size=20), moved("a", "b", 0.4, size=300)])
    assert [cells(axes)[0, 0] for axes in sizes.axes[::2]] == ["20.0%", "40.0%"]
    assert [axes.texts[-1].get_text() for axes in sizes.axes[::2]] == ["forget set 20", "forget set 300"]


def test_attacks_with_poisoning_rates_of_their_own_share_a_map() -> None:
    other = moved("b", "a", 0.3, poisoning_rate=0.05)
    assert len(transfer_figure([moved("a", "b", 0.2), other]).axes) == 2


def test_without_transfer_there_is_a_sentence() -> None:
    assert "learned on" in text_of(transfer_figure([record()]))


def test_an_axis_without_a_short_name_has_a_row_for_each_value() -> None:
    records = [moved("a", "b", 0.1 * epochs, axes={"model.training.epochs": epochs}) for epochs in (1, 3)]
    factors, groups = groups_of(records)
    assert [factor.name for factor in factors] == ["model.training.epochs"]
    assert groups == [[records[0]], [records[1]]]
    axes = transfer_figure(records).axes
    assert [row.texts[-1].get_text() for row in axes[::2]] == ["epochs 1", "epochs 3"]
    assert [cells(row)[0, 0] for row in axes[::2]] == ["10.0%", "30.0%"]

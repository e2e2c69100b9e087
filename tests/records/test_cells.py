"""Records read together: panels, cells, curves and levels."""

from __future__ import annotations

import pytest

from tbar_ray.naming import counted
from tbar_ray.planning.axes import factors_of
from tbar_ray.records.cells import (
    Levels,
    Panel,
    cell_of,
    count_text,
    counts_of_test,
    counts_of_validation,
    curves_of,
    in_panel,
    infected_value,
    interval,
    names_of,
    one_per_cell,
    panel_names,
    panels_of,
    reference,
    value_of,
    varies,
    varies_within,
    varying,
)
from tbar_ray.records.scores import RateRecord
from tests.records.records import epochs_grid, failed, grid, infeasible, moved, rate, record, scores

EPOCHS = "model.training.epochs"


def test_panels_are_attack_source_and_method() -> None:
    records = [*grid(), record(method="gentle"), moved("badnets", "sig", 0.1)]
    panels = panels_of(records)
    assert panels == [
        Panel("badnets", "badnets", "tbar"), Panel("blended", "blended", "tbar"), Panel("badnets", "badnets", "gentle"),
        Panel("badnets", "sig", "tbar"),
    ]  # fmt: skip
    assert sum(len(in_panel(records, panel)) for panel in panels) == len(records)
    assert panel_names(panels) == [
        "badnets ← badnets · tbar", "blended ← blended · tbar", "badnets ← badnets · gentle", "badnets ← sig · tbar",
    ]  # fmt: skip
    assert panel_names(panels[:2]) == ["badnets", "blended"]


def test_an_axis_of_any_path_tells_records_apart() -> None:
    records = epochs_grid()
    assert varies(records, EPOCHS)
    assert [factor.name for factor in varying(records)] == [EPOCHS]
    assert names_of(records)[-1] == EPOCHS
    assert len({cell_of(r) for r in records}) == 4
    assert len({cell_of(r, EPOCHS) for r in records}) == 2


def test_poisoning_rates_that_attacks_bring_tell_nothing() -> None:
    own = [record(), record("sig", poisoning_rate=0.1)]
    assert varies(own, "poisoning_rate")
    assert not varies_within(own, "poisoning_rate")
    assert varies_within([*own, record(poisoning_rate=0.2)], "poisoning_rate")


def test_the_source_varies_where_a_vector_was_moved() -> None:
    assert not varies([record(), record("blended")], "source")
    assert varies([moved("badnets", "sig", 0.1)], "source")


def test_what_an_attack_fixes_is_read_as_an_axis() -> None:
    made = record(target="dog", planting="stealth")
    assert [value_of(made, name) for name in ("target", "planting", "task", "seed")] == ["dog", "stealth", None, 0]


def test_of_a_cell_the_feasible_trial_with_the_least_validation_asr_is_kept() -> None:
    found = one_per_cell([
        failed(), infeasible(), record(alphas=(0.0,)), record(alphas=(0.5,)), record(seed=1, alphas=(0.1,)),
    ])  # fmt: skip
    assert [(r.seed, r.alphas) for r in found] == [(0, (0.5,)), (1, (0.1,))]
    assert [r.status for r in one_per_cell([failed(), infeasible()])] == ["infeasible"]


def test_trials_of_single_alphas_are_one_curve() -> None:
    (curve,) = curves_of([record(alphas=(a,)) for a in (0.5, 0.0, 0.3)], ["ca", "asr"], mean_of_seeds=False)
    whole = record(alphas=(0.0, 0.3, 0.5))
    assert curve.alphas == [0.0, 0.3, 0.5]
    assert [curve.at(point.alpha, "asr") for point in whole.path] == [point.asr for point in whole.path]
    assert curve.at(0.4, "asr") is None
    assert curve.selected == [0.5]
    assert curve.setting("forget_size") == 100


def test_seeds_share_a_curve_where_asked() -> None:
    records = [*(record(seed=s) for s in (0, 10)), failed(seed=3)]
    assert len(curves_of(records, ["ca"], mean_of_seeds=False)) == 2
    (mean,) = curves_of(records, ["ca"], mean_of_seeds=True)
    assert mean.at(0.5, "ca") == pytest.approx((records[0].path[5].ca + records[1].path[5].ca) / 2)
    assert len(curves_of(epochs_grid(), ["ca"], mean_of_seeds=True)) == 4


def test_values_of_the_infected_model() -> None:
    records = [record(infected=scores(0.5, 1.0, 0)), record(infected=scores(0.7, 1.0, 0), alphas=(0.3,))]
    assert reference(records, "infected", "ca") == pytest.approx(0.6)
    assert infected_value(records, "ca") == records[0].path[0].ca
    assert infected_value(records[1:], "ca") == records[1].reference_ca
    assert infected_value(records[1:], "asr") == 1.0
    assert reference([failed()], "removed", "ca") is None


def test_counts_of_images() -> None:
    assert count_text([("ca", rate(0.5, 1200)), ("asr", rate(0.5, 1200))]) == "n = 1,200 images"
    assert count_text([("ca", rate(0.5, 1200)), ("asr", rate(0.5, 1180)), ("asr", rate(0.5, 1190)), ("pa", None)]) == (
        "n = 1,200 (CA), 1,180–1,190 (ASR)"
    )
    assert count_text([("ca", RateRecord(value=0.5))]) == ""
    assert counts_of_test([record()], ["ca", "asr"]) == "n = 1,200 (CA), 1,180 (ASR)"
    assert counts_of_validation([record()], ["asr"]) == "n = 1,180 images"
    assert [counted(1, "trial"), counted(1200, "trial")] == ["1 trial", "1,200 trials"]


def test_an_interval_without_ends_is_a_point() -> None:
    assert interval(RateRecord(value=0.5)) == (0.5, 0.5, 0.5)
    assert interval(RateRecord(value=None)) is None
    assert interval(None) is None


def test_levels_are_numbers_in_order_or_names_as_they_appear() -> None:
    records = [record(size=s, axes={EPOCHS: e, "tbar.objective": o}) for s, e, o in ((300, 3, "b"), (1000, 1, "a"))]
    factors = factors_of(names_of(records))
    sizes, epochs, objectives = (Levels(records, factors[name]) for name in ("forget_size", EPOCHS, "tbar.objective"))
    assert (sizes.labels, epochs.labels, objectives.labels) == (["300", "1,000"], ["1", "3"], ["b", "a"])
    assert (sizes.numeric, objectives.numeric, sizes.by_factor) == (True, False, False)
    assert [epochs.index(value) for value in (1, 3)] == [0, 1]


def test_many_numbers_are_put_into_ranges() -> None:
    records = [record(axes={"learning_rate": 10.0**-i}) for i in range(12)]
    levels = Levels(records, factors_of(["learning_rate"])["learning_rate"], most=4)
    assert levels.binned
    assert levels.by_factor
    assert len(levels) == 4
    assert levels.labels[0] == "1e-11–1e-09"
    assert sum(len(group) for group in levels.groups) == 12
    assert levels.index(1.0) == 3

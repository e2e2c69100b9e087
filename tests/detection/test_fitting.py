"""From reference models to a calibration."""

from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.detection.fitting import calibrate, held_out
from tbar_ray.detection.logistic import fit_logistic
from tbar_ray.detection.reference import Reference
from tbar_ray.errors import DataError, SpecError
from tests.detection.zoo import VERSIONS, zoo


def with_scores(reference: Reference, **scores: float | None) -> Reference:
    return reference.model_copy(update={"scores": {**reference.scores, **scores}})


def test_every_set_of_searches_has_its_own_weights_and_error_rates() -> None:
    found = calibrate(zoo(decree=1.05), "a zoo", VERSIONS)
    assert [each.searches for each in found.combinations] == [
        ("universal-noise",), ("decree",), ("universal-noise", "decree"),
    ]  # fmt: skip
    noise, decree, both = (each.measured for each in found.combinations)
    assert noise.auroc == both.auroc == 1
    assert decree.auroc < 0.8
    assert decree.cross_entropy > 3 * noise.cross_entropy
    assert (noise.false_alarms.hits, noise.false_alarms.models) == (0, 20)
    assert (noise.caught.hits, noise.caught.models, noise.missed.hits) == (30, 30, 0)
    assert set(noise.by_attack) == {"badnets", "blended", "sig"}


def test_figures_are_of_models_whose_kind_the_fit_does_not_know() -> None:
    # one attack alone is seen by DECREE: a fit that knows it would count on DECREE, others must not
    scores, kinds, infected = [], [], []
    for kind, values in {"clean": (3.0, 1.0), "old": (12.0, 1.0), "new": (3.0, 2.0)}.items():
        for row in range(6):
            scores.append([values[0] + 0.01 * row, values[1] + 0.01 * row])
            kinds.append(kind)
            infected.append(kind != "clean")
    table, state = np.array(scores), np.array(infected)
    new = np.array(kinds) == "new"
    expected = fit_logistic(table[~new], state[~new]).probabilities(table[new])
    assert held_out(table, state, kinds)[new] == pytest.approx(expected)
    assert (fit_logistic(table, state).probabilities(table[new]) > 0.5).all()
    assert (expected < 0.5).all()


def test_the_only_kind_of_a_state_is_left_out_model_by_model() -> None:
    scores = np.array([[1.0], [2.0], [6.0], [7.0], [8.0]])
    state, kinds = np.array([False, False, True, True, True]), ["c", "c", "a", "a", "b"]
    kept = np.array([False, True, True, True, True])
    expected = fit_logistic(scores[kept], state[kept]).probabilities(scores[:1])
    assert held_out(scores, state, kinds)[:1] == pytest.approx(expected)


def test_a_search_that_did_not_converge_is_left_out_of_its_combinations_alone() -> None:
    models = zoo()
    models[0] = with_scores(models[0], decree=None)
    found = calibrate(models, "a zoo", VERSIONS)
    counted = {each.searches: each.measured.false_alarms.models for each in found.combinations}
    assert counted == {("universal-noise",): 20, ("decree",): 19, ("universal-noise", "decree"): 19}
    never = calibrate([with_scores(each, decree=None) for each in models], "a zoo", VERSIONS)
    assert [each.searches for each in never.combinations] == [("universal-noise",)]


def test_false_alarms_and_misses_are_bounded() -> None:
    models = zoo(noise=4.0, decree=1.0, each=100)
    found = calibrate(models, "a zoo", VERSIONS, most_false_alarms=0.05, most_misses=0.1).combination(
        ["universal-noise"]
    )
    assert found is not None
    assert found.measured.false_alarms.rate.value == pytest.approx(0.05, abs=0.006)
    assert found.measured.missed.rate.value == pytest.approx(0.1, abs=0.006)
    assert 0 < found.clear < found.alarm < 1
    assert 0.1 < found.measured.caught.rate.value < 0.9


def test_where_no_threshold_serves_there_is_no_alarm_and_no_clearing() -> None:
    models = zoo(noise=-40.0, decree=1.0)  # the clean ones are the suspicious ones
    found = calibrate(models, "a zoo", VERSIONS, most_false_alarms=0).combination(["universal-noise"])
    assert found is not None
    assert found.logistic.weights == (0,)
    assert (found.measured.caught.hits, found.measured.missed.hits) == (0, 0)


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        (zoo()[:20], "a zoo: 20 clean and 0 infected models; a calibration needs 5 of each"),
        (zoo(each=1), "a zoo: 2 clean and 3 infected models"),
        ([*zoo(), zoo()[0]], "a zoo: the model 'pretrained-0' comes twice"),
    ],
)
def test_too_few_models_are_refused(models: list[Reference], problem: str) -> None:
    with pytest.raises(DataError, match=problem):
        calibrate(models, "a zoo", VERSIONS)


def test_all_parameters_are_kept() -> None:
    found = calibrate(zoo(), "a zoo", VERSIONS, parameters={"universal-noise": {"steps": 7}})
    assert found.searches["universal-noise"]["steps"] == 7
    assert found.searches["universal-noise"]["judged"] == 48
    (built,) = found.build(["universal-noise"])
    assert built.model_dump() == found.searches["universal-noise"]
    with pytest.raises(SpecError, match="inversion 'decree': step"):
        calibrate(zoo(), "a zoo", VERSIONS, parameters={"decree": {"step": 7}})


def test_a_calibration_says_where_it_comes_from() -> None:
    found = calibrate(zoo(), "zoo.yaml", VERSIONS, digest="abc").provenance
    assert (found.source, found.digest) == ("zoo.yaml", "abc")
    assert found.versions == VERSIONS

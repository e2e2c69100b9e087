from __future__ import annotations

from itertools import pairwise
from math import inf, nan

import optuna
import pytest

from tbar_ray.search.samplers import SAMPLERS, StudyProposals
from tests.search.proposing import ATTACKS, AXES, constrained, drive, scored, settings_of, study

FAIL, COMPLETE = optuna.trial.TrialState.FAIL, optuna.trial.TrialState.COMPLETE


def states(asked: StudyProposals) -> list[optuna.trial.TrialState]:
    return [trial.state for trial in asked._study.trials]


def test_with_prune_a_proposal_carries_the_least_objective_of_the_batches_before() -> None:
    planned = drive(study("random", prune=True), "backwards")
    results = [scored(settings)["penalised_asr"] for settings in settings_of(planned)]
    bars = [one.trial.to_beat for one in planned]
    assert bars == [None] * 3 + [min(results[:3])] * 3 + [min(results[:6])] * 3
    plain = drive(study("random"), "backwards")
    assert [one.trial.to_beat for one in plain] == [None] * 9
    assert settings_of(plain) == settings_of(planned)


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_proposals_do_not_depend_on_who_ends_first(sampler: str) -> None:
    trials = 12 if sampler == "tpe" else 9  # beyond TPE's random start
    first = settings_of(drive(study(sampler, trials)))
    assert len(first) == trials
    for order in ("backwards", "rotated"):
        assert settings_of(drive(study(sampler, trials), order)) == first
    assert settings_of(drive(study(sampler, trials, seed=1))) != first


def test_results_are_used() -> None:
    told = [
        settings_of(
            drive(study("tpe", 24), result=lambda s, sign=sign: {"penalised_asr": sign * scored(s)["penalised_asr"]})  # type: ignore[misc]
        )
        for sign in (1, -1)
    ]
    assert told[0][:9] == told[1][:9]
    assert told[0] != told[1]


@pytest.mark.parametrize(("trials", "batch"), [(7, 3), (2, 4), (1, 1), (5, 5)])
def test_the_total_is_respected(trials: int, batch: int) -> None:
    asked = study("random", trials, batch)
    assert len(drive(asked, batch=batch)) == trials
    assert asked.next() is None


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_failed_trials_are_told_as_failures(sampler: str) -> None:
    asked = study(sampler)
    first = settings_of(drive(asked, fail=(1, 5)))
    assert [number for number, state in enumerate(states(asked)) if state == FAIL] == [1, 5]
    assert states(asked).count(COMPLETE) == 7
    assert settings_of(drive(study(sampler), "backwards", fail=(1, 5))) == first


@pytest.mark.parametrize("value", [nan, inf])
def test_a_result_that_is_no_number_is_told_as_a_failure(value: float) -> None:
    asked = study("tpe", trials=6)
    sick = {2: value}
    numbers = iter(range(6))
    drive(asked, result=lambda _: {"penalised_asr": sick.get(next(numbers), 0.5)})
    assert states(asked) == [COMPLETE, COMPLETE, FAIL, COMPLETE, COMPLETE, COMPLETE]


def test_a_whole_batch_that_fails_is_followed_by_another() -> None:
    assert len(drive(study("tpe"), "rotated", fail=(0, 1, 2))) == 9


def test_whole_number_ranges_include_both_ends() -> None:
    axes = {"forget_size": {"low": 2, "high": 4}, "seed": {"low": 0, "high": 1}, "clean_fraction": [0.0]}
    found = settings_of(drive(study("random", 60, axes=axes)))
    assert {settings["forget_size"] for settings in found} == {2, 3, 4}
    assert {settings["seed"] for settings in found} == {0, 1}
    assert all(type(settings["forget_size"]) is int for settings in found)


def test_log_whole_number_ranges_include_both_ends() -> None:
    axes = {"forget_size": {"low": 1, "high": 3, "log": True}, "clean_fraction": [0.0]}
    assert {s["forget_size"] for s in settings_of(drive(study("random", 60, axes=axes)))} == {1, 2, 3}


def test_lists_are_choices_and_ranges_are_bounds() -> None:
    axes = {"learning_rate": AXES["learning_rate"], "clean_fraction": [0, 0.5], "forget_size": [5, 50]}
    found = settings_of(drive(study("random", 40, 4, axes=axes), batch=4))
    assert {settings["clean_fraction"] for settings in found} == {0, 0.5}
    assert {settings["forget_size"] for settings in found} == {5, 50}
    assert {settings["attack"] for settings in found} == set(ATTACKS)
    rates = sorted(settings["learning_rate"] for settings in found)
    assert rates[0] >= 1e-6
    assert rates[-1] <= 1e-3
    assert sum(rate < 3e-5 for rate in rates) > 10  # spaced by factors, not by differences
    assert all(low < high for low, high in pairwise(rates))


def test_an_axis_is_any_path_of_the_spec() -> None:
    axes = {"model.training.epochs": {"low": 1, "high": 3}, "forget_size": [5], "clean_fraction": [0.0]}
    planned = drive(study("random", 30, axes=axes))
    epochs = [one.trial.settings["model.training.epochs"] for one in planned]
    assert set(epochs) == {1, 2, 3}
    assert [one.trial.spec.model.training.epochs for one in planned] == epochs
    cells = {(one.trial.attack, one.trial.spec.model.training.epochs) for one in planned}
    assert len({one.fingerprint for one in planned}) == len(cells)


def test_a_tradeoff_has_two_directions() -> None:
    directions = [direction.name for direction in study("nsga2")._study.directions]
    assert directions == ["MAXIMIZE", "MINIMIZE"]
    assert [direction.name for direction in study("tpe")._study.directions] == ["MINIMIZE"]


def test_a_tradeoff_is_told_both_objectives() -> None:
    asked = study("nsga2", trials=3)
    (first, *_) = settings_of(drive(asked))
    assert asked._study.trials[0].values == [scored(first)["ca"], scored(first)["asr"]]


def test_a_search_over_the_mean_runs_each_proposal_in_every_cell_and_is_told_the_mean() -> None:
    asked = study("tpe", trials=4, batch=2, mean_over=["attack"])
    planned = settings_of(drive(asked, "rotated", batch=4))
    assert len(planned) == 8
    pairs = list(zip(planned[::2], planned[1::2], strict=True))
    assert all([one["attack"] for one in pair] == ATTACKS for pair in pairs)
    for first, second in pairs:
        assert {**first, "attack": None} == {**second, "attack": None}
    told = [trial.value for trial in asked._study.trials]
    assert told == pytest.approx([sum(scored(one)["penalised_asr"] for one in pair) / 2 for pair in pairs])
    assert len({first["forget_size"] for first, _ in pairs}) == 4


def test_a_proposal_fails_if_one_of_its_cells_fails() -> None:
    asked = study("tpe", trials=3, batch=3, mean_over=["attack"])
    drive(asked, batch=6, fail=(3,))
    assert states(asked) == [COMPLETE, FAIL, COMPLETE]


def test_an_attackers_search_is_told_the_infected_asr_to_maximise_also_of_a_trial_that_failed() -> None:
    asked = study("tpe", trials=3, objective="infected_asr")
    found = [{"infected_asr": 0.2}, {}, {"infected_asr": 0.9, "penalised_asr": 0.1}]
    numbers = iter(found)
    drive(asked, result=lambda _: next(numbers))
    assert [direction.name for direction in asked._study.directions] == ["MAXIMIZE"]
    assert [trial.value for trial in asked._study.trials] == [0.2, None, 0.9]
    assert states(asked) == [COMPLETE, FAIL, COMPLETE]
    assert asked._study.best_trial.number == 2


def test_a_defenders_search_has_no_use_for_a_trial_of_which_the_attackers_value_alone_is_known() -> None:
    asked = study("tpe", trials=1)
    drive(asked, result=lambda _: {"infected_asr": 0.5})
    assert states(asked) == [FAIL]


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_every_sampler_is_told_which_trials_are_infeasible(sampler: str) -> None:
    asked = study(sampler, trials=12)
    found = settings_of(drive(asked, fail=(2,), result=constrained))
    told = [trial.constraints for trial in asked._study.trials]
    assert told[2] == {}
    expected = [constrained(settings)["ca_missing"] for settings in found]
    assert [one["ca_missing"] for number, one in enumerate(told) if number != 2] == [
        value for number, value in enumerate(expected) if number != 2
    ]
    again = settings_of(drive(study(sampler, trials=12), "backwards", fail=(2,), result=constrained))
    assert again == found


def test_a_proposal_is_as_infeasible_as_its_worst_cell() -> None:
    asked = study("tpe", trials=3, mean_over=["attack"])
    drive(asked, batch=6, result=lambda s: {**scored(s), "ca_missing": 0.1 if s["attack"] == "blended" else -0.2})
    assert [trial.constraints["ca_missing"] for trial in asked._study.trials] == [0.1] * 3

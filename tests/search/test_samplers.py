from __future__ import annotations

from itertools import pairwise
from typing import Any

import optuna
import pytest

from tbar_ray.search.samplers import SAMPLERS, BatchedOptunaSearch, build_searcher
from tests.specs import spec

Values = dict[str, Any]

AXES: Values = {
    "attack": ["badnets", "blended"],
    "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
    "clean_fraction": {"low": 0, "high": 0.9},
    "forget_size": {"low": 5, "high": 60},
}


def searcher(sampler: str, trials: int = 9, batch: int = 3, seed: int = 0, axes: Values = AXES) -> BatchedOptunaSearch:
    objective = "tradeoff" if sampler == "nsga2" else "asr"
    search = {
        "sampler": sampler, "trials": trials, "concurrency": batch, "objective": objective,
        "axes": {**axes, "attack": ["badnets", "blended"]},
    }  # fmt: skip
    return build_searcher(spec(search=search, seed=seed))


def scored(values: Values) -> dict[str, float]:
    """A made-up result, a function of what was proposed."""
    size = values["forget_size"] / 60
    asr = (values["clean_fraction"] - 0.3) ** 2 + 0.1 * size + (values["attack"] == "blended") * 0.2
    return {"penalised_asr": asr, "asr": asr, "ca": 0.9 - size / 3}


def drive(search: BatchedOptunaSearch, order: str, batch: int = 3, fail: tuple[int, ...] = ()) -> list[Values]:
    """Ask for trials as Tune does, and tell results in an order; return all proposals."""
    proposals: list[Values] = []
    while True:
        batch_values: dict[str, Values] = {}
        while (values := search.suggest(f"t{len(proposals)}")) is not None:
            batch_values[f"t{len(proposals)}"] = values
            proposals.append(values)
        if not batch_values:
            return proposals
        assert len(batch_values) <= batch
        ended = list(batch_values)
        ended = {"as proposed": ended, "backwards": ended[::-1], "rotated": ended[1:] + ended[:1]}[order]
        for trial in ended:
            assert search.suggest("too early") is None, "no proposal while results are outstanding"
            if int(trial[1:]) in fail:
                search.on_trial_complete(trial, error=True)
            else:
                search.on_trial_complete(trial, result=scored(batch_values[trial]))


def test_with_prune_a_proposal_carries_the_least_objective_of_the_batches_before() -> None:
    search = {"sampler": "random", "trials": 9, "concurrency": 3, "prune": True, "axes": AXES}
    proposals = drive(build_searcher(spec(search=search)), "backwards")
    results = [scored(values)["penalised_asr"] for values in proposals]
    assert ["to_beat" in values for values in proposals] == [False] * 3 + [True] * 6
    assert [values["to_beat"] for values in proposals[3:]] == [min(results[:3])] * 3 + [min(results[:6])] * 3
    search["prune"] = False
    plain = drive(build_searcher(spec(search=search)), "backwards")
    assert [{k: v for k, v in values.items() if k != "to_beat"} for values in proposals] == plain


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_proposals_do_not_depend_on_who_ends_first(sampler: str) -> None:
    trials = 12 if sampler == "tpe" else 9  # beyond TPE's random start
    first = drive(searcher(sampler, trials), "as proposed")
    assert len(first) == trials
    for order in ("backwards", "rotated"):
        assert drive(searcher(sampler, trials), order) == first
    assert drive(searcher(sampler, trials, seed=1), "as proposed") != first


def test_results_are_used() -> None:
    first, other = searcher("tpe", 24), searcher("tpe", 24)
    told = []
    for search, sign in ((first, 1), (other, -1)):
        proposals: list[Values] = []
        while (values := search.suggest(f"t{len(proposals)}")) is not None or search._left:
            assert values is not None
            proposals.append(values)
            if len(proposals) % 3 == 0:
                for trial in range(len(proposals) - 3, len(proposals)):
                    score = sign * scored(proposals[trial])["penalised_asr"]
                    search.on_trial_complete(f"t{trial}", result={"penalised_asr": score})
        told.append(proposals)
    assert told[0][:9] == told[1][:9]
    assert told[0] != told[1]


@pytest.mark.parametrize(("trials", "batch"), [(7, 3), (2, 4), (1, 1), (5, 5)])
def test_the_total_is_respected(trials: int, batch: int) -> None:
    search = searcher("random", trials, batch)
    assert len(drive(search, "as proposed", batch)) == trials
    assert search.suggest("more") is None


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_failed_trials_are_told_as_failures(sampler: str) -> None:
    first = drive(search := searcher(sampler), "as proposed", fail=(1, 5))
    states = [trial.state for trial in search._ot_study.trials]
    failed = [number for number, state in enumerate(states) if state == optuna.trial.TrialState.FAIL]
    assert failed == [1, 5]
    assert states.count(optuna.trial.TrialState.COMPLETE) == 7
    assert drive(searcher(sampler), "backwards", fail=(1, 5)) == first


def test_a_whole_batch_that_fails_is_followed_by_another() -> None:
    assert len(drive(searcher("tpe"), "rotated", fail=(0, 1, 2))) == 9


def test_whole_number_ranges_include_both_ends() -> None:
    axes = {"forget_size": {"low": 2, "high": 4}, "seed": {"low": 0, "high": 1}, "clean_fraction": [0.0]}
    found = drive(searcher("random", 60, 3, axes=axes), "as proposed")
    assert {values["forget_size"] for values in found} == {2, 3, 4}
    assert {values["seed"] for values in found} == {0, 1}
    assert all(type(values["forget_size"]) is int for values in found)


def test_log_whole_number_ranges_include_both_ends() -> None:
    axes = {"forget_size": {"low": 1, "high": 3, "log": True}, "clean_fraction": [0.0]}
    assert {v["forget_size"] for v in drive(searcher("random", 60, 3, axes=axes), "as proposed")} == {1, 2, 3}


def test_lists_are_choices_and_ranges_are_bounds() -> None:
    axes = {"learning_rate": AXES["learning_rate"], "clean_fraction": [0, 0.5], "forget_size": [5, 50]}
    found = drive(searcher("random", 40, 4, axes=axes), "as proposed", 4)
    assert {values["clean_fraction"] for values in found} == {0, 0.5}
    assert {values["forget_size"] for values in found} == {5, 50}
    assert {values["attack"] for values in found} == {"badnets", "blended"}
    rates = sorted(values["learning_rate"] for values in found)
    assert rates[0] >= 1e-6
    assert rates[-1] <= 1e-3
    assert sum(rate < 3e-5 for rate in rates) > 10  # spaced by factors, not by differences
    assert all(low < high for low, high in pairwise(rates))


def test_a_tradeoff_has_two_directions() -> None:
    search = searcher("nsga2")
    assert search.metric == ["ca", "asr"]
    directions = [direction.name for direction in search._ot_study.directions]
    assert directions == ["MAXIMIZE", "MINIMIZE"]
    assert [d.name for d in searcher("tpe")._ot_study.directions] == ["MINIMIZE"]

"""Trials by their names."""

from __future__ import annotations

from itertools import product

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.records.names import best_trial, find_trial, run_name
from tests.records.records import failed, record


def test_every_cell_has_a_run_name_of_its_own() -> None:
    cells = [
        record(method=method, seed=seed, axes={"learning_rate": rate, "model.training.epochs": epochs})
        for method, seed, rate, epochs in product(("tbar", "cleanclip"), (0, 1), (1e-5, 1e-6), (1, 3))
    ]
    names = [run_name(cell) for cell in cells]
    assert len(set(names)) == len(cells) == 16
    assert names[0] == "badnets, tbar, forget set 100, clean 0%, poisoned 1%, seed 0, learning rate 1e-05, epochs 1"


def test_a_transferred_vector_and_a_single_alpha_are_in_the_name() -> None:
    assert run_name(record(source="blended", alphas=(1.25,))).startswith("badnets ← blended, tbar")
    assert run_name(record(alphas=(1.25,))).endswith(", α 1.25")
    assert run_name(record(alphas=(1.25,))) != run_name(record(alphas=(1.5,)))


def test_a_trial_is_found_by_fingerprint_name_or_parts() -> None:
    trials = [record(size=size, fingerprint=f"{size:04d}abcd") for size in (100, 300)]
    assert find_trial(trials, "0300") is trials[1]
    assert find_trial(trials, run_name(trials[0])) is trials[0]
    assert find_trial(trials, "tbar, forget set 300") is trials[1]


def test_what_is_not_one_trial_is_listed() -> None:
    trials = [record(size=size, fingerprint=f"{size:04d}abcd") for size in range(20)]
    with pytest.raises(SpecError, match=r"20 trials are meant by 'tbar'; .*0000abcd badnets, tbar, .*; and 8 more$"):
        find_trial(trials, "tbar")
    with pytest.raises(SpecError, match=r"no trial 'tbor'; give a fingerprint or more of a name: 0000abcd"):
        find_trial(trials, "tbor")
    with pytest.raises(SpecError, match="no trial '000'"):
        find_trial(trials, "000")


def test_the_best_is_feasible_with_least_asr_on_validation() -> None:
    trials = [record(size=size) for size in (50, 100, 300)]
    best = best_trial([failed(), *trials])
    assert best is min(trials, key=lambda trial: trial.selected_point.asr)  # type: ignore[union-attr]
    with pytest.raises(SpecError, match="has selected an α yet"):
        best_trial([failed()])

"""How many trials a search has, and over which axes."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.planning.studies import cells_of, searched_trials, studies_of
from tbar_ray.spec.campaign import CampaignSpec
from tests.specs import spec

AXES: dict[str, Any] = {
    "method": ["tbar", "gentle", "cleanclip"],
    "gentle.learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
    "cleanclip.steps": {"low": 2, "high": 9},
}


def searched(study: str, **axes: Any) -> CampaignSpec:
    search = {"sampler": "random", "trials": 3, "study": study, "axes": {**AXES, **axes}}
    return spec(attack="badnets", methods={"gentle": {"method": "tbar"}}, search=search)


def test_a_method_without_anything_to_search_has_one_trial() -> None:
    assert searched_trials(searched("whole")) == 3
    assert searched_trials(searched("per method")) == 1 + 3 + 3
    assert searched_trials(searched("per method", forget_size=[10, 20])) == 3 + 3 + 3


def test_a_study_has_shared_axes_and_those_of_its_method() -> None:
    made = searched("per method", **{"model.training.epochs": [1, 2]})
    assert [study.fixed for study in studies_of(made)] == [{"method": name} for name in AXES["method"]]
    assert [set(study.axes) for study in studies_of(made)] == [
        {"model.training.epochs"},
        {"gentle.learning_rate", "model.training.epochs"},
        {"cleanclip.steps", "model.training.epochs"},
    ]


STRENGTHS: dict[str, Any] = {
    "attack": ["blended", "badnets"],
    "poisoning_rate": {"low": 0.01, "high": 0.1},
    "attacks.badnets.parameters.patch_size": {"low": 8, "high": 32},
    "attacks.blended.parameters.ratio": {"low": 0.1, "high": 0.3},
}


@pytest.mark.parametrize("plant", ["separately", "together"])
def test_a_study_of_an_attack_has_shared_axes_and_those_of_the_attacks_planted_with_it(plant: str) -> None:
    search = {"sampler": "random", "trials": 3, "study": "per attack", "axes": STRENGTHS}
    made = spec(poison__plant=plant, search=search)
    blended, badnets = studies_of(made)
    assert (blended.fixed, badnets.fixed) == ({"attack": "blended"}, {"attack": "badnets"})
    shared, patch, ratio = list(STRENGTHS)[1:]
    both = {shared, patch, ratio}
    assert set(blended.axes) == (both if plant == "together" else {shared, ratio})
    assert set(badnets.axes) == (both if plant == "together" else {shared, patch})
    assert searched_trials(made) == 6


def test_one_search_has_all_axes_and_fixes_none() -> None:
    (only,) = studies_of(searched("whole"))
    assert (set(only.axes), only.fixed) == (set(AXES), {})


def test_axes_that_a_search_means_over_multiply_its_trials_and_are_not_proposed() -> None:
    made = searched("per method", attack=["badnets", "blended"], seed=[0, 1, 2])
    made = made.model_copy(update={"search": made.search.model_copy(update={"mean_over": ["attack", "seed"]})})
    assert searched_trials(made) == 6 * (1 + 3 + 3)
    assert cells_of(made)[:2] == [{"attack": "badnets", "seed": 0}, {"attack": "badnets", "seed": 1}]
    assert [set(study.axes) for study in studies_of(made)] == [set(), {"gentle.learning_rate"}, {"cleanclip.steps"}]
    assert cells_of(searched("whole")) == [{}]

"""How many trials a search has, and over which axes."""

from __future__ import annotations

from typing import Any

from tbar_ray.planning.studies import axes_of, cells_of, searched_trials
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
    assert set(axes_of(made, "gentle")) == {"gentle.learning_rate", "model.training.epochs"}
    assert set(axes_of(made, "tbar")) == {"model.training.epochs"}


def test_axes_that_a_search_means_over_multiply_its_trials_and_are_not_proposed() -> None:
    made = searched("per method", attack=["badnets", "blended"], seed=[0, 1, 2])
    made = made.model_copy(update={"search": made.search.model_copy(update={"mean_over": ["attack", "seed"]})})
    assert searched_trials(made) == 6 * (1 + 3 + 3)
    assert cells_of(made)[:2] == [{"attack": "badnets", "seed": 0}, {"attack": "badnets", "seed": 1}]
    assert set(axes_of(made, "gentle")) == {"gentle.learning_rate"}
    assert cells_of(searched("whole")) == [{}]

"""Methods by name: what a spec says of them, the axes of their parameters, what they need."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.planning.methods import alphas_of, build_method, lacking, used_methods
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.planning.trial import make_trial
from tbar_ray.spec.campaign import CampaignSpec
from tests.specs import spec

AXES: dict[str, Any] = {
    "method": ["tbar", "gentle", "cleanclip"],
    "gentle.learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
    "cleanclip.steps": {"low": 2, "high": 9},
}


def several(**changes: Any) -> CampaignSpec:
    """A campaign of three methods, one of them TBAR under a name of its own."""
    sound: dict[str, Any] = {
        "attacks__blended": ...,
        "methods": {"gentle": {"method": "tbar", "parameters": {"steps": 3}, "alpha": [1, 2]}},
        "defender": {"clean_pairs": 50},
        "alpha": [0, 0.5, 1],
        "search__axes": {"method": ["tbar", "gentle", "cleanclip"]},
    }
    return spec(**{**sound, **changes})


def check(made: CampaignSpec) -> None:
    check_campaign(Planner(made))


def test_a_name_stands_for_a_method_with_parameters_and_strengths_of_its_own() -> None:
    made = several()
    check(made)
    assert used_methods(made) == ["tbar", "gentle", "cleanclip"]
    gentle = build_method(make_trial(made, {"method": "gentle", "gentle.learning_rate": 2e-5}).spec, "gentle")
    assert (gentle.name, gentle.steps, gentle.learning_rate) == ("tbar", 3, 2e-5)  # type: ignore[attr-defined]
    assert [alphas_of(made, name) for name in used_methods(made)] == [(0, 0.5, 1), (1, 2), (1,)]
    assert {p.trial.method: p.trial.alphas for p in Planner(made).grid()}["cleanclip"] == (1.0,)


def test_a_methods_parameters_are_axes_of_its_own_trials() -> None:
    made = several(search={"sampler": "random", "trials": 4, "axes": AXES})
    check(made)
    values = {"method": "gentle", "gentle.learning_rate": 3e-5, "cleanclip.steps": 4}
    trial = make_trial(made, values)
    assert build_method(trial.spec, "gentle").learning_rate == 3e-5  # type: ignore[attr-defined]
    assert trial.settings["gentle.learning_rate"] == 3e-5
    assert "cleanclip.steps" not in trial.settings
    assert set(make_trial(made, {**values, "method": "tbar"}).settings).isdisjoint(values.keys() - {"method"})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"defender": {"clean_pairs": 0}}, "'cleanclip' needs the defender's clean pairs, .*defender.clean_pairs"),
        ({"defender": {"clean_pairs": 5, "knows": []}}, "'tbar' needs the defender's .*, and there is none; list "),
        ({"defender": {"clean_pairs": 5, "knows": ["trigger"]}}, "method 'tbar' needs the defender's target"),
        ({"search__axes": {"method": ["abl"]}}, "'abl' needs the defender's training pairs, .*defender.training_pairs"),
        ({"methods": {"gentle": {"method": "tbarr"}}}, "methods.gentle: unknown unlearning method 'tbarr'"),
        (
            {"methods": {"gentle": {"method": "tbar", "parameters": {"stepz": 1}}}},
            "methods.gentle: unlearning method 'tbar': stepz: .*did you mean 'steps'",
        ),
        (
            {"search__axes": {"method": ["tbar", "gentle", "cleanclip"], "gentle.steps": [0, 3]}},
            "methods.gentle: unlearning method 'tbar': steps: Input should be greater than or equal to 1",
        ),
        (
            {"search__axes": {"method": ["tbar", "gentle", "cleanclip"], "gentle.stepz": [3]}},
            "methods.gentle: .*stepz",
        ),
        ({"search__axes": {"method": ["tbar"], "gentle.steps": [3]}}, "gentle.steps: no trial has the method 'gentle'"),
        (
            {"search__axes": {"method": ["tbar", "cleanclip"], "methods.gentl.alpha": [3]}},
            "methods.gentl.alpha: no trial has the method 'gentl'",
        ),
    ],
)  # fmt: skip
def test_preflight_refuses_what_cannot_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        check(several(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"search": {"sampler": "tpe", "trials": 3, "study": "per method", "axes": {"forget_size": [10, 20]}}},
            "needs a sampler and a list of methods",
        ),
        ({"methods": {"gentle": {"method": "tbar", "alpha": []}}}, "at least 1 item"),
        ({"defender": {"knows": ["everything"]}}, "trigger"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        several(**changes)


def test_a_defender_lacks_what_he_neither_has_nor_knows() -> None:
    made = several(defender={"knows": ["target"], "training_pairs": 3})
    assert lacking(made, frozenset({"target", "training pairs"})) is None
    found = lacking(made, frozenset({"forget set", "clean pairs"}))
    assert found is not None
    assert found[0] == "forget set"

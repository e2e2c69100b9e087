"""A trial is the spec with overrides: what its values set, and what does not matter to it."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.planning.axes import STANDARD
from tbar_ray.planning.methods import build_method
from tbar_ray.planning.trial import grid, make_trial, override, poisoning_rate, value_at
from tests.specs import spec

OWN: dict[str, Any] = {
    "gentle": {"method": "tbar", "parameters": {"steps": 3}, "alpha": [1, 2]},
    "halved": {"method": "tbar-negmerge", "alpha": [0.25, 0.5]},
}


def test_a_grid_is_every_cell_the_attack_fastest() -> None:
    axes = {"forget_size": [10, 20], "attack": ["blended", "badnets"], "clean_fraction": [0, 0.5]}
    names = ("attack", "forget_size", "clean_fraction")
    cells = [tuple(values[name] for name in names) for values in grid(spec(search__axes=axes))]
    of_one = [(10, 0), (10, 0.5), (20, 0), (20, 0.5)]
    assert cells == [(attack, *rest) for rest in of_one for attack in ("blended", "badnets")]
    assert grid(spec(search={}, attack="badnets")) == [{}]


def test_a_trial_takes_what_no_axis_says_from_the_spec() -> None:
    made = spec(seed=4, forget={"size": 7, "clean_fraction": 0.25}, alpha=[0, 1])
    trial = make_trial(made, {"attack": "blended"})
    assert trial.settings == {
        "attack": "blended", "source": None, "method": "tbar", "forget_size": 7, "clean_fraction": 0.25,
        "poisoning_rate": 0.05, "seed": 4,
    }  # fmt: skip
    assert list(trial.settings) == list(STANDARD)
    assert (trial.attack, trial.source, trial.method, trial.alphas) == ("blended", None, "tbar", (0.0, 1.0))
    assert make_trial(made, {}).attack == "badnets", "the first one where nothing says which"


def test_the_spec_names_attack_and_source_where_no_axis_does() -> None:
    trial = make_trial(spec(attack="blended", source="badnets", search={}), {})
    assert (trial.attack, trial.source) == ("blended", "badnets")
    assert trial.involved == {"blended", "badnets"}
    assert make_trial(spec(search={}, attack="blended", source="blended"), {}).source is None


def test_values_take_the_types_of_the_spec() -> None:
    trial = make_trial(spec(), {"forget_size": 10.0, "clean_fraction": 0})
    assert (trial.spec.forget.size, trial.spec.forget.clean_fraction) == (10, 0.0)
    assert isinstance(trial.settings["forget_size"], int)
    assert isinstance(trial.settings["clean_fraction"], float)


@pytest.mark.parametrize(
    ("axis", "value", "message"),
    [
        ("forget_size", 1.5, "forget_size 1.5: forget.size: Input should be a valid integer"),
        ("forget_size", 0, "forget_size 0: forget.size: Input should be greater than or equal to 1 (got 0)"),
        ("forget.size", [1], "forget.size [1]: forget.size: Input should be a valid integer"),
        ("seed", float("inf"), "seed inf: seed: Input should be a finite number"),
        ("seed", None, "seed None: seed: Input should be a valid integer"),
        ("clean_fraction", 1, "clean_fraction 1: forget.clean_fraction: Input should be less than 1"),
        ("clean_fraction", float("nan"), "clean_fraction nan: forget.clean_fraction: Input should be"),
        ("poisoning_rate", 0, "poisoning_rate 0: poison.rate: Input should be greater than 0"),
        ("poisoning_rate", 1.001, "poisoning_rate 1.001: poison.rate: Input should be less than or equal to 1"),
        ("alpha", 1000.1, "alpha 1000.1: methods.tbar.alpha.0: Input should be less than or equal to 1000"),
        ("alpha", -1, "alpha -1: methods.tbar.alpha.0: Input should be greater than or equal to 0"),
        ("model.training.epochs", 0, "model.training.epochs 0: model.training.epochs: Input should be greater"),
        ("model.training.epochs", "many", "model.training.epochs 'many': model.training.epochs: Input should be"),
        ("model.training.epoch", 1, "model.training.epoch 1: model.training.epoch: unknown key; did you mean 'epochs'"),
        ("data.synthetic.samples", -5, "data.synthetic.samples -5: data.synthetic.samples: Input should be greater"),
        ("poison.count", 3, "poison.count 3: poison: give either 'rate' or 'count'"),
        ("attack", "badnet", "attack 'badnet': attack: 'badnet' is not under 'attacks'; did you mean 'badnets'"),
        ("attack", 3, "attack 3: attack: Input should be a valid string (got 3)"),
    ],
)
def test_a_value_that_is_not_allowed_is_one_line_with_axis_and_value(axis: str, value: Any, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        override(spec(), {axis: value}, "tbar")
    assert str(caught.value).startswith(f"search.axes: {message}")
    assert "\n" not in str(caught.value)


PRETRAINED = {"model": {"architecture": "ViT-B-32", "pretrained": "openai"}}


@pytest.mark.parametrize(
    ("axis", "changes", "message"),
    [
        ("model.training.epochs", PRETRAINED, "the spec has no model.training; give that section first"),
        ("disentanglement.points", {}, "the spec has no disentanglement; give that section first"),
        ("attacks.badnets.poison.training.epochs", {}, "no attacks.badnets.poison.training; give that section first"),
        ("model.trainin.epochs", {}, "the spec has no model.trainin; did you mean 'training'"),
        ("attacks.badnet.target", {}, "the spec has no attacks.badnet; did you mean 'badnets'?"),
        ("seed.first", {}, "seed has no parts"),
        ("alpha.0", {}, "'0' is no field of a list"),
    ],
)
def test_a_place_that_the_spec_does_not_have_is_one_line(axis: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        override(spec(**changes), {axis: 1}, "tbar")
    assert str(caught.value).startswith(f"search.axes.{axis}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parameters_of_other_methods_and_attacks_are_left_out() -> None:
    values = {
        "attack": "badnets", "method": "gentle", "gentle.steps": 5, "tbar.steps": 9, "methods.halved.alpha": [1],
        "attacks.badnets.parameters.patch_size": 4, "attacks.blended.parameters.ratio": 0.3,
    }  # fmt: skip
    trial = make_trial(spec(methods=OWN), values)
    assert set(trial.settings) - set(STANDARD) == {"gentle.steps", "attacks.badnets.parameters.patch_size"}
    assert trial.spec.attacks["blended"].parameters == {}
    moved = make_trial(spec(methods=OWN), {**values, "source": "blended"})
    assert moved.spec.attacks["blended"].parameters == {"ratio": 0.3}, "its vector is applied"


@pytest.mark.parametrize("axis", [False, True])
def test_every_attack_that_is_planted_with_the_trials_own_matters(axis: bool) -> None:
    values = {"attack": "badnets", "attacks.blended.parameters.ratio": 0.3}
    made = spec() if axis else spec(poison__plant="together")
    trial = make_trial(made, {**values, "poison.plant": "together"} if axis else values)
    assert trial.spec.attacks["blended"].parameters == {"ratio": 0.3}
    assert trial.involved == {"badnets", "blended"}


@pytest.mark.parametrize(
    "axes",
    [("unlearning.parameters.steps", "tbar.learning_rate"), ("tbar.learning_rate", "unlearning.parameters.steps")],
)
def test_parameters_of_unlearning_and_of_the_method_go_together_in_any_order(axes: tuple[str, ...]) -> None:
    values = {"unlearning.parameters.steps": 3, "tbar.learning_rate": 2e-5}
    made = spec(unlearning__parameters={"batch_size": 6})
    method: Any = build_method(make_trial(made, {axis: values[axis] for axis in axes}).spec, "tbar")
    assert (method.steps, method.learning_rate, method.batch_size) == (3, 2e-5, 6)


def test_a_seed_keeps_the_cut_of_the_evaluation_set() -> None:
    for seed in (0, 5):
        assert make_trial(spec(seed=2), {"seed": seed}).spec.evaluation.split_seed == 2
        assert make_trial(spec(evaluation={"split_seed": 7}), {"seed": seed}).spec.evaluation.split_seed == 7


def test_the_axis_of_the_poisoning_rate_goes_before_an_attacks_own_and_the_path_does_not() -> None:
    made = spec(attacks__blended__poison={"rate": 0.2})
    rates = {name: poisoning_rate(made, name) for name in made.attacks}
    assert rates == {"badnets": 0.05, "blended": 0.2}
    over = make_trial(made, {"attack": "blended", "poisoning_rate": 0.01})
    assert (over.settings["poisoning_rate"], over.spec.attacks["blended"].poison.rate) == (0.01, 0.01)
    path = make_trial(made, {"attack": "blended", "poison.rate": 0.01})
    assert path.settings["poisoning_rate"] == 0.2
    counted = make_trial(spec(attacks__blended__poison={"count": 4}), {"attack": "blended"})
    assert counted.settings["poisoning_rate"] is None


@pytest.mark.parametrize(
    ("method", "without", "with_axis"),
    [
        ("tbar", (0.0, 1.0), (0.3,)),
        ("gentle", (1.0, 2.0), (0.3,)),
        ("halved", (0.25, 0.5), (0.3,)),
        ("twin-distillation", (1.0,), (0.3,)),
        ("cleanclip", (1.0,), (1.0,)),
    ],
)
def test_alpha_is_the_axis_or_the_methods_own_or_the_campaigns(
    method: str, without: tuple[float, ...], with_axis: tuple[float, ...]
) -> None:
    made = spec(methods=OWN, alpha=[0, 1])
    assert make_trial(made, {"method": method}).alphas == without
    trial = make_trial(made, {"method": method, "alpha": 0.3})
    assert trial.alphas == with_axis
    assert "alpha" not in trial.settings


def test_alpha_as_an_axis_may_be_a_path() -> None:
    assert make_trial(spec(), {"alpha": [0.1, 0.2]}).alphas == (0.1, 0.2)


def test_a_setting_has_one_name() -> None:
    by_alias = make_trial(spec(), {"forget_size": 10, "method": "tbar", "clean_fraction": 0.5})
    by_path = make_trial(spec(), {"forget.size": 10, "unlearning.method": "tbar", "forget.clean_fraction": 0.5})
    assert by_alias == by_path


def test_what_is_no_scalar_is_shown_as_json() -> None:
    parameters = {"patch_size": 5}
    trial = make_trial(spec(), {"attacks.badnets.parameters": parameters})
    assert trial.settings["attacks.badnets.parameters"] == '{"patch_size": 5}'
    given = spec(data={"train": "a", "evaluation": "b"})
    shown = make_trial(given, {"data.train": [{"url": "x"}]}).settings["data.train"]
    assert shown == '[{"subset": null, "url": "x", "weight": 1.0}]'
    assert value_at(given, ("model", "training", "optimisation", "none")) is None

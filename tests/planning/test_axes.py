"""Names of axes: where they lie in a spec, in which order and how they are shown."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.planning.axes import (
    ALIASES,
    STANDARD,
    Setting,
    count,
    factors_of,
    is_aliased,
    is_of_method,
    keys_of,
    method_parameter,
    number,
    order_of,
    percent,
    setting_of,
)
from tbar_ray.spec.search import Search
from tests.specs import spec

DOTTED = {"v1.5": {"trigger": "badnets", "target": "red circle", "poison": {"rate": 0.1}}}


@pytest.mark.parametrize(
    ("axis", "places"),
    [
        ("seed", [("seed",)]),
        ("attack", [("attack",)]),
        ("method", [("unlearning", "method")]),
        ("forget_size", [("forget", "size")]),
        ("alpha", [("methods", "gentle", "alpha")]),
        ("learning_rate", [("methods", "gentle", "parameters", "learning_rate")]),
        ("tbar.steps", [("methods", "tbar", "parameters", "steps")]),
        ("model.training.epochs", [("model", "training", "epochs")]),
        ("attacks.v1.5.parameters.patch_size", [("attacks", "v1.5", "parameters", "patch_size")]),
        ("poisoning_rate", [("poison", "rate"), ("attacks", "v1.5", "poison", "rate")]),
        ("poison.rate", [("poison", "rate")]),
    ],
)
def test_an_axis_lies_at_a_place_of_the_spec(axis: str, places: list[tuple[str, ...]]) -> None:
    assert keys_of(spec(attacks=DOTTED, search={}), axis, "gentle") == places


def test_a_method_may_have_a_dot_in_its_name() -> None:
    assert keys_of(spec(), "alpha", "tbar-0.5") == [("methods", "tbar-0.5", "alpha")]


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        ("forget_sise", "search.axes: unknown axis 'forget_sise'; did you mean 'forget_size'"),
        ("name", "search.axes.name: 'name' is of the whole campaign"),
        ("description", "search.axes.description: 'description' is of the whole campaign"),
        ("search", "search.axes.search: 'search' is of the whole campaign"),
        ("search.trials", "search.axes.search.trials: 'search' is of the whole campaign"),
        ("attacks", "search.axes.attacks: not all of them at once"),
        ("methods", "search.axes.methods: not all of them at once"),
    ],
)
def test_what_is_no_axis_is_refused_in_one_line(axis: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        keys_of(spec(), axis, "tbar")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_usual_axes_come_first_and_others_as_given() -> None:
    given = ["model.training.epochs", "seed", "tbar.steps", "alpha", "attack", "seed", "forget_size"]
    assert order_of(given) == ["attack", "forget_size", "seed", "alpha", "model.training.epochs", "tbar.steps"]
    assert order_of(reversed(STANDARD)) == list(STANDARD)


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        (["model.training.epochs"], ["epochs"]),
        (["model.training.epochs", "poison.training.epochs"], ["model training epochs", "poison training epochs"]),
        (["tbar.steps", "gentle.steps", "tbar.batch_size"], ["tbar steps", "gentle steps", "batch size"]),
        (["attacks.badnets.parameters.patch_size"], ["patch size"]),
        (["attacks.a.parameters.ratio", "attacks.b.parameters.ratio"], ["a ratio", "b ratio"]),
        (["seed", "data.synthetic.seed"], ["seed", "synthetic seed"]),
        (
            ["learning_rate", "poison.training.optimisation.learning_rate"],
            ["learning rate", "optimisation learning rate"],
        ),
        (["forget_size", "clean_fraction", "alpha"], ["forget set", "clean", "α"]),
    ],
)  # fmt: skip
def test_a_label_is_the_shortest_end_that_names_the_axis_alone(names: list[str], labels: list[str]) -> None:
    factors = factors_of(names)
    assert list(factors) == names
    assert [factor.label for factor in factors.values()] == labels
    assert [factor.name for factor in factors.values()] == names


def test_values_are_written_as_declared() -> None:
    factors = factors_of([*ALIASES, "model.training.epochs"])
    said = {"forget_size": 12_000, "clean_fraction": 0.25, "poisoning_rate": 0.003, "learning_rate": 1.5e-5}
    texts = {name: factors[name].told(value) for name, value in said.items()}
    assert texts == {
        "forget_size": "forget set 12,000",
        "clean_fraction": "clean 25%",
        "poisoning_rate": "poisoned 0.3%",
        "learning_rate": "learning rate 1.5e-05",
    }
    assert factors["model.training.epochs"].told(3) == "epochs 3"
    assert (factors["forget_size"].head, factors["source"].label) == ("forget", "vector of")


@pytest.mark.parametrize("form", [number, count, percent])
def test_what_is_no_number_is_written_as_it_is(form: Any) -> None:
    assert form(None) == "–"
    assert form("openai") == "openai"


@pytest.mark.parametrize(
    ("value", "held"),
    [
        (3, 3),
        (0.5, 0.5),
        (None, None),
        (True, True),
        ("a", "a"),
        ([0, 1], "[0, 1]"),
        ({"b": 1, "a": 2}, '{"a": 2, "b": 1}'),
    ],
)
def test_a_record_holds_scalars(value: Any, held: Setting) -> None:
    assert setting_of(value) == held
    assert type(setting_of(value)) is type(held)


def test_kinds_of_axes() -> None:
    assert method_parameter("tbar.learning_rate") == ("tbar", "learning_rate")
    assert method_parameter("forget.size") is None
    assert method_parameter("seed") is None
    assert [name for name in ALIASES if is_of_method(name)] == ["learning_rate", "alpha"]
    assert is_aliased("forget.size")
    assert is_aliased("unlearning.method")
    assert not is_aliased("seed")
    assert not is_aliased("model.training.epochs")


def test_trials_without_a_value_are_labelled_as_the_axis_says() -> None:
    factors = factors_of(["inversion", "forget_size"])
    assert factors["inversion"].unset == factors["inversion"].form(None) == "told"
    assert factors["forget_size"].unset == "not set"


def test_the_reference_names_every_short_name_of_an_axis() -> None:
    told = str(Search.model_fields["axes"].description).rpartition("short name: ")[2].split(", ")
    assert sorted(told) == sorted(ALIASES)

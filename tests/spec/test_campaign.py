from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tbar_ray.planning.axes import AXES, AxisRange
from tbar_ray.planning.trial import grid_trials, make_trial
from tbar_ray.spec.campaign import CampaignSpec
from tests.specs import content, spec

names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}", fullmatch=True)
shares = st.floats(0, 1, exclude_min=True, exclude_max=True, allow_subnormal=False)
plain = st.dictionaries(st.text(max_size=5), st.one_of(st.integers(), st.text(max_size=5), st.booleans()), max_size=2)
attacks = st.fixed_dictionaries({"trigger": names, "target": st.text(max_size=9), "parameters": plain})
ranges = st.tuples(st.floats(1e-9, 1e-3), st.floats(2e-3, 1), st.booleans()).map(
    lambda r: {"low": r[0], "high": r[1], "log": r[2]}
)
axes = st.fixed_dictionaries(
    {},
    optional={
        "forget_size": st.lists(st.integers(1, 10**6), min_size=1, max_size=3),
        "clean_fraction": st.lists(shares, min_size=1, max_size=3),
        "alpha": st.lists(st.floats(0, 1000), min_size=1, max_size=3),
        "learning_rate": st.one_of(st.lists(shares, min_size=1, max_size=3), ranges),
        "seed": st.lists(st.integers(0, 10**9), min_size=1, max_size=2),
    },
)


@st.composite
def specs(draw: st.DrawFn) -> dict[str, Any]:
    planted = draw(st.dictionaries(names, attacks, min_size=1, max_size=2))
    poison = draw(st.one_of(st.builds(dict, rate=shares), st.builds(dict, count=st.integers(1, 99))))
    origin = draw(st.sampled_from([{"pretrained": "openai"}, {"training": {"epochs": 2}}]))
    return {
        "name": draw(names),
        "description": draw(st.text(max_size=20)),
        "seed": draw(st.integers(0, 2**31)),
        "data": draw(st.sampled_from([{"synthetic": {}}, {"train": "a/{0..3}.tar", "evaluation": "b"}])),
        "model": {"architecture": draw(names), **origin},
        "attacks": planted,
        "poison": {**poison, "captions": draw(st.sampled_from(["openai", "evaluation"]))},
        "alpha": draw(st.lists(st.floats(0, 1000), min_size=1, max_size=4)),
        "unlearning": {"method": draw(names), "parameters": draw(plain)},
        "search": {"sampler": "random", "trials": 3, "axes": {"attack": list(planted), **draw(axes)}},
    }


@settings(max_examples=60, deadline=None)
@given(specs())
def test_a_dump_reads_back_as_the_same_spec(written: dict[str, Any]) -> None:
    made = CampaignSpec.model_validate(written)
    assert CampaignSpec.model_validate(made.model_dump()) == made
    assert CampaignSpec.model_validate(made.model_dump(mode="json")) == made
    assert CampaignSpec.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("name", sorted(AXES))
@pytest.mark.parametrize("value", [math.nan, math.inf, -1, True, None, [1]])
def test_no_axis_takes_these(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^axes\.{name}: "):
        AXES[name].check(value)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("forget_size", [1, 10**9, 2.0], [0, 1.5]),
        ("clean_fraction", [0, 0.999], [1, -1e-9]),
        ("alpha", [0, 1000], [1000.1]),
        ("poisoning_rate", [1e-9, 1], [0, 1.001]),
        ("seed", [0, 7], [0.5]),
        ("learning_rate", [1e-12, 5], [0]),
        ("attack", ["x"], [3]),
    ],
)
def test_bounds_of_axes(name: str, inside: list[Any], outside: list[Any]) -> None:
    for value in inside:
        AXES[name].check(value)
    for value in outside:
        with pytest.raises(ValueError, match=rf"^axes\.{name}: "):
            AXES[name].check(value)


@pytest.mark.parametrize(
    "given",
    [{"low": 1, "high": 1}, {"low": 2, "high": 1}, {"low": 0, "high": 1, "log": True}, {"low": 1, "high": math.inf}],
)
def test_a_range_has_an_extent(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AxisRange.model_validate(given)


@pytest.mark.parametrize("place", ["poison__training__optimisation", "resources"])
def test_infinite_is_no_number(place: str) -> None:
    field = "learning_rate" if "optimisation" in place else "gpus"
    with pytest.raises(ValidationError, match="finite"):
        spec(**{place: {field: math.inf}})


def test_sections_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        spec().poison.rate = 0.5  # type: ignore[misc]


def test_a_grid_is_every_cell_once_the_attack_fastest() -> None:
    axes = {"forget_size": [10, 20, 10], "attack": ["blended", "badnets"], "clean_fraction": [0, 0.5, 0.0]}
    cells = [(t.attack, t.forget_size, t.clean_fraction) for t in grid_trials(spec(search__axes=axes))]
    of_one = [(10, 0), (10, 0.5), (20, 0), (20, 0.5)]
    assert cells == [(attack, *rest) for rest in of_one for attack in ("blended", "badnets")]
    assert len(grid_trials(spec(search__axes=axes, search__trials=3))) == 3


def test_a_trial_takes_what_no_axis_says_from_the_spec() -> None:
    made = spec(seed=4, forget={"size": 7, "clean_fraction": 0.25}, alpha=[0, 1])
    trial = make_trial(made, {"attack": "blended"})
    assert (trial.attack, trial.seed, trial.forget_size, trial.clean_fraction) == ("blended", 4, 7, 0.25)
    assert (trial.poisoning_rate, trial.learning_rate, trial.alphas) == (0.05, None, (0.0, 1.0))
    assert make_trial(made, {"alpha": 3}).alphas == (3.0,)
    assert "alphas" not in trial.cell


def test_the_small_spec_is_sound() -> None:
    assert CampaignSpec.model_validate(content()).search.sampler == "grid"

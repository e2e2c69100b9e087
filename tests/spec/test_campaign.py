from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

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
    poison: dict[str, Any] = draw(st.one_of(st.builds(dict, rate=shares), st.builds(dict, count=st.integers(1, 99))))
    origin: dict[str, Any] = draw(st.sampled_from([{"pretrained": "openai"}, {"training": {"epochs": 2}}]))
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


@settings(max_examples=60)
@given(specs())
def test_a_dump_reads_back_as_the_same_spec(written: dict[str, Any]) -> None:
    made = CampaignSpec.model_validate(written)
    assert CampaignSpec.model_validate(made.model_dump()) == made
    assert CampaignSpec.model_validate(made.model_dump(mode="json")) == made
    assert CampaignSpec.model_validate_json(made.model_dump_json()) == made


@pytest.mark.parametrize("place", ["poison__training__optimisation", "resources"])
def test_infinite_is_no_number(place: str) -> None:
    field = "learning_rate" if "optimisation" in place else "gpus"
    with pytest.raises(ValidationError, match="finite"):
        spec(**{place: {field: math.inf}})


def test_sections_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        spec().poison.rate = 0.5  # type: ignore[misc]


def test_the_small_spec_is_sound() -> None:
    assert CampaignSpec.model_validate(content()).search.sampler == "grid"

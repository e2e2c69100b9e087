from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.leaderboard.boards import board_spec
from tbar_ray.leaderboard.tuning import SEARCHES, Tuning
from tbar_ray.spec.attack import Attack
from tbar_ray.spec.load import load_spec
from tbar_ray.spec.shipped import shipped_specs
from tests.specs import spec

SEARCHED = spec(
    attacks__blended__parameters={"ratio": 0.3},
    search={"sampler": "tpe", "trials": 7, "axes": {"method": ["tbar"], "attack": ["blended"]}},
)


def attack(**changes: Any) -> Attack:
    return Attack(**{"trigger": "blended", "target": "blue square", "parameters": {"ratio": 0.3}, **changes})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "attack"),
        ({"planting": {"method": "stealth"}}, "trigger"),
        ({"parameters": {"ratio": 0.1}}, "no"),
        ({"trigger": "badnets", "parameters": {}}, "no"),
    ],
)
def test_an_attack_is_the_same_by_trigger_and_planting(changes: dict[str, Any], expected: str) -> None:
    tuning = Tuning.of(SEARCHED)
    assert tuning.tuned_on("tbar", attack(**changes)) == expected
    assert tuning.tuned_on("mine", attack(**changes)) == "not stated"
    assert tuning.proposals == 7


def test_the_shipped_leaderboards_name_the_attack_that_stamps_a_trigger_of_their_search() -> None:
    for data, search in SEARCHES.items():
        tuning = Tuning.of(load_spec(shipped_specs()[search]))
        attacks = board_spec(data).attacks
        found = {name: tuning.tuned_on("tbar", about) for name, about in attacks.items()}
        assert {name for name, on in found.items() if on == "attack"} == {"badnets", "blended"}
        assert {name for name, on in found.items() if on == "trigger"} == {"negation-robust"}

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.leaderboard.tuning import Tuning
from tbar_ray.spec.attack import Attack
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

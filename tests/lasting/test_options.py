from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tbar_ray.lasting.options import ReboundOptions


def test_the_first_and_the_last_step_are_always_measured() -> None:
    assert ReboundOptions().measured == (0, 5, 10, 20, 30, 50, 100, 200, 300)
    assert ReboundOptions(steps=40, at=(3, 7)).measured == (0, 3, 7, 40)
    assert ReboundOptions(steps=40, at=()).measured == (0, 40)


def test_of_the_usual_steps_those_are_measured_that_there_are() -> None:
    assert ReboundOptions(steps=40).measured == (0, 5, 10, 20, 30, 40)
    assert ReboundOptions(steps=400).measured == (0, 5, 10, 20, 30, 50, 100, 200, 300, 400)
    assert ReboundOptions(steps=300).model_dump() == ReboundOptions().model_dump()


def test_the_learning_rate_does_not_depend_on_how_many_steps_follow() -> None:
    used = ReboundOptions(learning_rate=3e-5).optimisation
    assert (used.learning_rate, used.weight_decay, used.schedule, used.warmup_steps) == (3e-5, 0.01, "constant", 0)
    assert used.clip_norm is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"at": (0, 10, 5)}, r"at: steps must rise from 0 or more, which \[0, 10, 5\] do not"),
        ({"at": (0, 5, 5)}, "at: steps must rise"),
        ({"at": (-1, 5)}, "at: steps must rise from 0 or more"),
        ({"at": (0, 10), "steps": 9}, r"at: step 10 is beyond the last one; raise steps \(9\) or leave it out"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"batch_size": 1}, "greater than or equal to 2"),
        ({"learning_rate": 0}, "greater than 0"),
    ],
)
def test_steps_that_cannot_be_are_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        ReboundOptions(**given)

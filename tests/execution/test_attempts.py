"""How often a stage is tried again."""

from __future__ import annotations

import pytest

from tbar_ray.execution.attempts import MOST, Attempts
from tbar_ray.stages.lost import Cause


@pytest.mark.parametrize("cause", ["process", "node"])
def test_attempts_are_bounded_for_each_cause_apart(cause: Cause) -> None:
    attempts = Attempts()
    other: Cause = "node" if cause == "process" else "process"
    assert attempts.again(other) is not None
    lines = [attempts.again(cause) for _ in range(MOST[cause] + 1)]
    assert lines[0] == f"lost with its {cause}; it is tried again (1 of at most {MOST[cause]} times)"
    assert None not in lines[:-1]
    assert lines[-1] is None

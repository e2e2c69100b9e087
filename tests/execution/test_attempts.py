"""What counts as a loss, and how often a stage is tried again."""

from __future__ import annotations

import pytest
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, RuntimeEnvSetupError, WorkerCrashedError

from tbar_ray.execution.attempts import MOST, Attempts, cause_of
from tbar_ray.stages.node import Cause


def test_a_loss_is_of_a_process_or_of_a_node_and_an_error_is_none() -> None:
    assert cause_of(WorkerCrashedError()) == "process"
    assert cause_of(OutOfMemoryError("killed")) == "process"
    assert cause_of(NodeDiedError("gone")) == "node"
    assert cause_of(RuntimeEnvSetupError("no such package")) is None
    assert cause_of(RayTaskError("run_stage", "Traceback", ValueError("ours"))) is None


@pytest.mark.parametrize("cause", ["process", "node"])
def test_attempts_are_bounded_for_each_cause_apart(cause: Cause) -> None:
    attempts = Attempts()
    other: Cause = "node" if cause == "process" else "process"
    assert attempts.again(other) is not None
    lines = [attempts.again(cause) for _ in range(MOST[cause] + 1)]
    assert lines[0] == f"lost with its {cause}; it is tried again (1 of at most {MOST[cause]} times)"
    assert None not in lines[:-1]
    assert lines[-1] is None

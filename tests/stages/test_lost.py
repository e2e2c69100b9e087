"""What counts as a loss."""

from __future__ import annotations

from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from tbar_ray.stages.lost import cause_of


def test_a_loss_is_of_a_process_or_of_a_node_and_an_error_is_none() -> None:
    assert cause_of(WorkerCrashedError()) == "process"
    assert cause_of(OutOfMemoryError("killed")) == "process"
    assert cause_of(NodeDiedError("gone")) == "node"
    assert cause_of(ActorDiedError()) == "process"
    assert cause_of(RuntimeEnvSetupError("no such package")) is None
    assert cause_of(RayTaskError("run_stage", "Traceback", ValueError("ours"))) is None

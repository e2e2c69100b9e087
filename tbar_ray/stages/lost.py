"""What is lost under a stage that runs, which is no failure of the stage."""

from __future__ import annotations

from typing import Literal

from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    OutOfMemoryError,
    RayActorError,
    TaskPlacementGroupRemoved,
    WorkerCrashedError,
)

Cause = Literal["process", "node"]
"""A process that ended, or a node that is gone or is being taken away."""
NODE_GONE = "its node has died"
"""What Ray says of an actor that was lost with its node; there is no other sign of it."""


class StageLostError(Exception):
    """What a stage runs on is lost, or soon will be: it is run again, from its checkpoint if it has one."""

    def __init__(self, cause: Cause, what: str) -> None:
        super().__init__(what)
        self.cause = cause


def cause_of(error: Exception) -> Cause | None:
    """What was lost, if that is what an error of Ray says; None for any other error."""
    if isinstance(error, RayActorError):  # a reader, or a worker of a training
        return "node" if NODE_GONE in str(error) else "process"
    if isinstance(error, NodeDiedError | LocalRayletDiedError | TaskPlacementGroupRemoved):
        return "node"
    return "process" if isinstance(error, WorkerCrashedError | OutOfMemoryError | ObjectLostError) else None

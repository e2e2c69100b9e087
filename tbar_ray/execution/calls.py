"""Messages about stages between driver, coordinator and workers: small records, no numeric code.

Ray is not imported with this file: a launch imports it, and has yet to set what Ray reads of the environment then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from tbar_ray.records.lost_attempts import Loss, LostAttempt
from tbar_ray.stages.data import GivenData, Mixture
from tbar_ray.stages.node import PROCESS, Node, Policy, Stage, stages_in_order

if TYPE_CHECKING:
    from tbar_ray.stages.lost import Cause

State = Literal["waiting", "running", "done", "cached", "failed", "stopped"]
STOPPED = "the campaign was stopped before it ran"
"""Why a stage, and a trial that waits for it, has no result when no new stages are to start; it is left to do."""
OVER_BUDGET = "the launch's budget would not have been enough"
"""The same, where nobody asked for it but the budget."""
LEFT_TO_DO = (STOPPED, OVER_BUDGET)


@dataclass(frozen=True)
class StageCall:
    """What the coordinator needs to know of a stage.

    `payload` is the pickled stage; `reads` are the given data that it reads, in bytes by fingerprint, which its node
    has cached then. `memory`, in bytes, is an estimate from below. `work` are its images, 0 where it has none.
    """

    fingerprint: str
    artifact: str
    title: str
    payload: bytes
    inputs: tuple[str, ...]
    cpus: int
    policy: Policy
    reads: Mapping[str, int] = field(default_factory=dict)
    memory: int = 0
    work: int = 0

    @property
    def takes(self) -> Mapping[str, float]:
        """CPUs and GPUs that all its workers hold, by Ray's names."""
        workers = self.policy.training_workers
        return {"CPU": float(self.cpus * workers), "GPU": self.policy.gpus * workers}

    @property
    def kind(self) -> str:
        """The stage's kind."""
        return self.artifact.rsplit("-", 1)[0]


@dataclass(frozen=True)
class Outcome:
    """How a stage ended; `error` is None if its artifact is in the store.

    `host` is the Ray node where it ran, `fetched` what it read there, in bytes by artifact. `broken` is the artifact
    that it needed and could not read, which has to be computed again. `claimed` says that another launch computes it.
    `lost` says what was lost under it: then it has not failed, and `error` is only what happened. `other_gpu` says that
    it did not run, since the process had worked on another GPU than the one that it was given now.
    """

    error: str | None = None
    host: str = ""
    fetched: Mapping[str, int] = field(default_factory=dict)
    broken: str | None = None
    claimed: bool = False
    lost: Cause | None = None
    other_gpu: bool = False


@dataclass
class StageStatus:
    """How far a stage is; times are seconds since the epoch.

    `kept` is when this attempt has kept its last checkpoint; `cpus` and `gpus` are what it holds while it runs.
    """

    title: str
    kind: str
    state: State = "waiting"
    started: float | None = None
    ended: float | None = None
    error: str = ""
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    rate: float | None = None
    kept: float | None = None
    cpus: float = 0
    gpus: float = 0

    def lost(self, cause: Loss, now: float) -> LostAttempt:
        """This attempt, if it is cut off now."""
        began = now if self.started is None else self.started
        return LostAttempt(
            title=self.title,
            cause=cause,
            seconds=now - began,
            wasted=now - max(began, self.kept or began),
            cpus=self.cpus,
            gpus=self.gpus,
        )

    @property
    def seconds(self) -> float | None:
        """How long it ran, once it has ended."""
        return None if self.started is None or self.ended is None else self.ended - self.started


@dataclass(frozen=True)
class Snapshot:
    """The stages of a campaign at one moment.

    Attributes:
        kinds: number of stages by kind, in the order in which they were sent, and state.
        running: the running stages by fingerprint.
        ended: those that have ended since the last snapshot.
        ends: how stages have ended since the last snapshot, by fingerprint; also those that were in the store, or were
            not started.
        notes: what a person should know, since the last snapshot.
        refused: the stage that the budget was not enough for, in one line; empty if there is none.
        lost: attempts that were cut off since the last snapshot.
        life: which coordinator it is of; one that was restarted knows nothing of what it was sent before.
    """

    kinds: Mapping[str, Mapping[State, int]]
    running: Mapping[str, StageStatus]
    ended: Sequence[StageStatus]
    notes: Sequence[str] = ()
    refused: str = ""
    life: str = ""
    ends: Mapping[str, State] = field(default_factory=dict)
    lost: Sequence[LostAttempt] = ()

    @property
    def counts(self) -> Mapping[State, int]:
        """Number of stages by state."""
        return {state: sum(of_kind.get(state, 0) for of_kind in self.kinds.values()) for state in get_args(State)}


def call_of(stage: Stage, policy: Policy) -> StageCall:
    """The call of one stage."""
    from ray import cloudpickle

    given = policy.for_stage(stage)
    return StageCall(
        fingerprint=stage.fingerprint,
        artifact=stage.artifact,
        title=stage.title,
        payload=cloudpickle.dumps(stage),
        inputs=tuple(needed.fingerprint for needed in stage.needed_stages()),
        cpus=stage.threads,
        policy=given,
        memory=PROCESS + stage.memory(given),
        work=stage.work,
        reads={data.fingerprint: data.size for data in _given(stage.inputs()) if data.size},
    )


def _given(nodes: Iterable[Node]) -> Iterator[GivenData]:
    """Yield the given data among nodes; a mixture is its parts."""
    for node in nodes:
        if isinstance(node, GivenData):
            yield node
        elif isinstance(node, Mixture):
            yield from node.parts


def calls_for(stages: Sequence[Stage], policy: Policy, without: Iterable[str] = ()) -> list[StageCall]:
    """Calls of stages and of everything that they need, inputs first, except those of given fingerprints."""
    known = frozenset(without)
    return [call_of(stage, policy) for stage in stages_in_order(stages) if stage.fingerprint not in known]

"""Running stages on Ray: every stage once in the whole campaign, with its own resources, wherever there is room.

The coordinator is a light actor. It knows stages by fingerprint and carries their definitions as bytes, so
that it never imports the numeric code. A trial asks it for its last stage and waits; stages that several
trials need are computed once (single flight) and the others wait for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import ray
from ray import cloudpickle
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tbar_ray.errors import ScientificError, TbarError
from tbar_ray.execution.locality import Locality
from tbar_ray.stages.node import Stage, StageContext, architecture_under, stages_in_order
from tbar_ray.store.checkpoints import Checkpoints
from tbar_ray.store.store import Store

State = Literal["waiting", "running", "done", "cached", "failed"]
REPORT_EVERY = 0.5
"""Seconds between progress reports of one stage."""


@dataclass(frozen=True)
class StageCall:
    """What the coordinator needs to know of a stage."""

    fingerprint: str
    artifact: str
    title: str
    payload: bytes
    inputs: tuple[str, ...]
    cpus: int
    gpus: float


@dataclass(frozen=True)
class Outcome:
    """How a stage ended; `error` is None if its artifact is in the store.

    `node` is where it ran, `fetched` what it read there, in bytes.
    """

    error: str | None = None
    node: str = ""
    fetched: Mapping[str, int] = field(default_factory=dict)


def calls_for(stage: Stage) -> list[StageCall]:
    """Return the calls for a stage and everything that it needs, inputs first."""
    return [
        StageCall(
            fingerprint=node.fingerprint,
            artifact=node.artifact,
            title=node.title,
            payload=cloudpickle.dumps(node),
            inputs=tuple(needed.fingerprint for needed in node.needed_stages()),
            cpus=node.threads,
            gpus=node.gpus,
        )
        for node in stages_in_order([stage])
    ]


class Coordinator:
    """Single flight over the stages of a campaign (an asynchronous Ray actor)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._status: dict[str, dict[str, Any]] = {}
        self._asked: asyncio.Queue[tuple[int, dict[str, Any]] | None] = asyncio.Queue()
        self._answers: dict[int, asyncio.Future[dict[str, float]]] = {}
        self._begun = asyncio.Event()
        self._under: dict[str, frozenset[str]] = {}
        self._locality = Locality()

    async def ask(self, values: dict[str, Any]) -> dict[str, float]:
        """Hand a trial's values to the driver's desk, and return its objective.

        Raises:
            ScientificError: if the trial failed.
        """
        number = len(self._answers)
        self._answers[number] = asyncio.get_running_loop().create_future()
        await self._asked.put((number, values))
        return await self._answers[number]

    async def next_asked(self) -> tuple[int, dict[str, Any]] | None:
        """Return the next trial that waits for the desk, with its number; None once the desk is closed."""
        return await self._asked.get()

    async def answer(self, number: int, objective: dict[str, float], reason: str | None) -> None:
        """Take the desk's answer: an objective, or why there is none."""
        if reason is None:
            self._answers[number].set_result(objective)
        else:
            self._answers[number].set_exception(ScientificError(reason))

    async def close_desk(self) -> None:
        """Tell the desk that no trial is left."""
        await self._asked.put(None)

    async def resolve(self, calls: Sequence[StageCall]) -> Outcome:
        """Make sure that the last stage's artifact exists; return how it ended."""
        for call in calls:  # inputs come first, so every input has its task
            if call.fingerprint not in self._tasks:
                below = (self._under[needed] for needed in call.inputs)
                self._under[call.fingerprint] = frozenset({call.artifact}).union(*below)
                self._tasks[call.fingerprint] = asyncio.create_task(self._run(call))
        outcome = await asyncio.shield(self._tasks[calls[-1].fingerprint])
        self._begun.set()
        return outcome

    async def wait_until_begun(self) -> None:
        """Return once a stage runs, or has ended without."""
        await self._begun.wait()

    async def report(self, fingerprint: str, facts: dict[str, Any]) -> None:
        """Take a running stage's progress."""
        entry = self._status[fingerprint]
        if entry["state"] == "waiting":
            entry.update(state="running", started=time.time())
            self._begun.set()
        entry.update(facts)

    async def snapshot(self) -> dict[str, dict[str, Any]]:
        """Return every stage's title, state and progress, in the order in which they were asked for."""
        return self._status

    async def _run(self, call: StageCall) -> Outcome:
        status: dict[str, Any] = {"title": call.title, "state": "waiting", "asked": time.time()}
        self._status[call.fingerprint] = status
        if await asyncio.to_thread(self._store.has, call.artifact):
            status["state"] = "cached"
            return Outcome()
        for needed in [self._tasks[fingerprint] for fingerprint in call.inputs]:
            outcome = await asyncio.shield(needed)
            if outcome.error is not None:
                status.update(state="failed", error=outcome.error)
                return outcome
        me = ray.get_runtime_context().current_actor
        task = ray.remote(run_stage).options(
            num_cpus=call.cpus,
            num_gpus=call.gpus,
            max_retries=3,
            scheduling_strategy=self._strategy(call),
            name=call.title,
        )
        try:
            outcome = await task.remote(call.payload, self._store, me)
        except Exception as error:  # a crash of ours or of a node, after Ray's retries
            outcome = Outcome(f"{call.title}: {type(error).__name__}: {last_line(error)}")
        if outcome.node:
            self._locality.note(outcome.node, outcome.fetched)
        status.update(state="failed" if outcome.error else "done", ended=time.time())
        if outcome.error:
            status["error"] = outcome.error
        return outcome

    def _strategy(self, call: StageCall) -> NodeAffinitySchedulingStrategy | str:
        """Prefer the node that has most of what the stage may read, if there is room on it."""
        node = self._locality.nearest(self._under[call.fingerprint])
        if node is None:
            return "DEFAULT"  # leaves the placement group of whichever trial asked first
        # without spilling, a stage would wait for a busy node beside idle ones
        return NodeAffinitySchedulingStrategy(node, soft=True, _spill_on_unavailable=True)


def get_ready() -> None:
    """Import what stages need, so that this process has it when its first one comes (a Ray task)."""
    import tbar_ray.stages.runtime  # noqa: F401
    from tbar_ray.models.library import open_clip

    open_clip()


def run_stage(payload: bytes, store: Store, coordinator: Any) -> Outcome:
    """Run one stage in this process and commit its artifact (a Ray task)."""
    import torch

    stage: Stage = cloudpickle.loads(payload)
    torch.set_num_threads(stage.threads)
    last = [0.0]

    def report(facts: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - last[0] >= REPORT_EVERY or facts.get("done") == facts.get("total"):
            last[0] = now
            coordinator.report.remote(stage.fingerprint, facts)

    coordinator.report.remote(stage.fingerprint, {})
    try:
        compute(stage, store, report)
    except TbarError as error:
        return Outcome(str(error))
    return Outcome(None, ray.get_runtime_context().get_node_id(), store.fetched)


def compute(stage: Stage, store: Store, report: Any = lambda _: None) -> dict[str, Any]:
    """Compute a stage whose inputs are in the store, and commit it.

    Raises:
        TbarError: what the stage, or the store, says is wrong.
    """
    import shutil

    started = time.perf_counter()
    out = store.scratch()
    try:
        facts = stage.run(StageContext(store, out, report))
        seconds = time.perf_counter() - started
        record = {
            "kind": stage.kind,
            "fingerprint": stage.fingerprint,
            "title": stage.title,
            "meaning": stage.identity(),
            "architecture": architecture_under(stage),
            "facts": facts,
            "seconds": seconds,
            "ended": time.time(),
            "threads": stage.threads,
            "work": stage.work,
        }
        store.commit(stage.artifact, out, record)
        Checkpoints(store, stage.artifact, 0).remove()
    except ArithmeticError as error:
        raise ScientificError(f"{stage.title}: {error}") from None
    finally:
        shutil.rmtree(out, ignore_errors=True)
    return facts


def last_line(error: Exception) -> str:
    """Return the last line of an error: of a remote one, whose text is a traceback, what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""

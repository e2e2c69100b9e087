"""The coordinator: each stage runs once per campaign, with its own resources, on any host with room.

The coordinator is a light actor. It knows stages by fingerprint and carries their definitions as bytes, so that it
never imports the numeric code. Stages that several trials need are computed once (single flight); the others wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from tbar_ray.execution.calls import Outcome, Snapshot, StageCall, StageStatus, State
from tbar_ray.execution.locality import Locality
from tbar_ray.execution.stage_task import last_line, run_stage
from tbar_ray.store.store import Store


class Coordinator:
    """Single flight over the stages of a campaign (an asynchronous Ray actor)."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._live: dict[str, StageStatus] = {}
        self._ended: list[StageStatus] = []
        self._counts: Counter[State] = Counter()
        self._trials: dict[str, asyncio.Future[list[str]]] = {}
        self._begun = asyncio.Event()
        self._under: dict[str, frozenset[str]] = {}
        self._locality = Locality()

    async def submit(self, trial: str, outputs: Sequence[str], calls: Sequence[StageCall]) -> None:
        """Start the stages of a trial. A call that leaves out stages sent here must wait for this one to return.

        Args:
            trial: the trial's fingerprint, for `wait_for`.
            outputs: fingerprints of the stages that it waits for.
            calls: those of its stages that no earlier trial had, inputs first.
        """
        for call in calls:  # inputs come first, so every input has its task
            if call.fingerprint not in self._tasks:
                below = (self._under[needed] for needed in call.inputs)
                self._under[call.fingerprint] = frozenset({call.artifact}).union(*below)
                self._tasks[call.fingerprint] = asyncio.create_task(self._run(call))
        waiting = self._future(trial)
        if not waiting.done():
            waiting.set_result(list(outputs))

    async def wait_for(self, trial: str) -> str | None:
        """Wait until the stages of a trial have ended; return why one failed, None if all are in the store."""
        outputs = await asyncio.shield(self._future(trial))
        outcomes = await asyncio.gather(*(asyncio.shield(self._tasks[output]) for output in outputs))
        self._begun.set()
        return next((outcome.error for outcome in outcomes if outcome.error is not None), None)

    async def wait_until_begun(self) -> None:
        """Return once a stage runs, or a trial has ended without one."""
        await self._begun.wait()

    async def report(self, fingerprint: str, facts: dict[str, Any]) -> None:
        """Record the progress of a running stage."""
        status = self._live.get(fingerprint)
        if status is None:
            return  # its last report came after its end
        if status.state == "waiting":
            self._move(status, "running")
            status.started = time.time()
            self._begun.set()
        for name, value in facts.items():
            setattr(status, name, value)

    async def snapshot(self) -> Snapshot:
        """Return the running stages, and those that have ended since the last snapshot."""
        ended, self._ended = self._ended, []
        running = {fingerprint: status for fingerprint, status in self._live.items() if status.state == "running"}
        return Snapshot(dict(self._counts), running, ended)

    def _move(self, status: StageStatus, state: State) -> None:
        self._counts[status.state] -= 1
        self._counts[state] += 1
        status.state = state

    def _future(self, trial: str) -> asyncio.Future[list[str]]:
        if trial not in self._trials:
            self._trials[trial] = asyncio.get_running_loop().create_future()
        return self._trials[trial]

    async def _run(self, call: StageCall) -> Outcome:
        status = self._live[call.fingerprint] = StageStatus(call.title)
        self._counts["waiting"] += 1
        outcome, state = await self._outcome(call)
        status.error, status.ended = outcome.error or "", time.time()
        self._move(status, state)
        del self._live[call.fingerprint]
        if state != "cached":
            self._ended.append(status)
        return outcome

    async def _outcome(self, call: StageCall) -> tuple[Outcome, State]:
        if await asyncio.to_thread(self._store.has, call.artifact):
            return Outcome(), "cached"
        for needed in [self._tasks[fingerprint] for fingerprint in call.inputs]:
            outcome = await asyncio.shield(needed)
            if outcome.error is not None:
                return outcome, "failed"
        me = ray.get_runtime_context().current_actor
        task = ray.remote(run_stage).options(
            num_cpus=call.cpus,
            num_gpus=call.policy.gpus,
            max_retries=3,
            scheduling_strategy=self._strategy(call),
            name=call.title,
        )
        try:
            outcome = await task.remote(call.payload, call.policy, self._store, me)
        except Exception as error:  # a crash of this code or of a host, after Ray's retries
            outcome = Outcome(f"{call.title}: {type(error).__name__}: {last_line(error)}")
        if outcome.host:
            self._locality.note(outcome.host, outcome.fetched)
        return outcome, "failed" if outcome.error else "done"

    def _strategy(self, call: StageCall) -> NodeAffinitySchedulingStrategy | str:
        """Prefer the host that holds most of the stage's inputs, if there is room on it."""
        host = self._locality.nearest(self._under[call.fingerprint])
        if host is None:
            return "DEFAULT"  # leaves the placement group of whichever trial asked first
        # without spilling, a stage would wait for a busy host beside idle ones
        return NodeAffinitySchedulingStrategy(host, soft=True, _spill_on_unavailable=True)

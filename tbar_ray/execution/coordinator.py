"""The coordinator: each stage runs once per campaign, with its own resources, on any host with room.

The coordinator is a light actor. It knows stages by fingerprint and carries their definitions as bytes, so that it
never imports the numeric code. Stages that several trials need are computed once (single flight); the others wait.

All that lasts is in the store. A coordinator that Ray has restarted knows nothing, and is sent everything again.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from tbar_ray.errors import TbarError
from tbar_ray.execution.attempts import MOST, Attempts
from tbar_ray.execution.budget import Spending
from tbar_ray.execution.calls import (
    LEFT_TO_DO,
    OVER_BUDGET,
    STOPPED,
    Outcome,
    Snapshot,
    StageCall,
    StageStatus,
    State,
)
from tbar_ray.execution.fair_share import Amounts, Room
from tbar_ray.execution.ray_tasks import RayTasks
from tbar_ray.records.lost_attempts import LostAttempt
from tbar_ray.stages.lost import Cause
from tbar_ray.store.claim import Rival
from tbar_ray.store.commit import COMMIT
from tbar_ray.store.store import Store

MENDS = 3
"""Inputs of a stage that are found broken, one after the other, and computed again, before the stage fails."""

LOOKS = 1.0
"""Seconds between looks at a stage that another launch computes."""


class Coordinator:
    """Single flight over the stages of a campaign (an asynchronous Ray actor)."""

    def __init__(
        self, store: Store, spending: Spending | None = None, most: Amounts | None = None, shares: bool = False
    ) -> None:
        self._store, self._spending = store, spending
        self._room, self._shares = Room(most or {}), shares
        self._ray = RayTasks(store)
        self._following: asyncio.Task[None] | None = None
        self._tasks: dict[str, asyncio.Task[Outcome]] = {}
        self._live: dict[str, StageStatus] = {}
        self._ended: list[StageStatus] = []
        self._ends: dict[str, State] = {}
        self._kinds: defaultdict[str, Counter[State]] = defaultdict(Counter)
        self._trials: dict[str, asyncio.Future[list[str]]] = {}
        self._begun = asyncio.Event()
        self._under: dict[str, frozenset[str]] = {}
        self._calls: dict[str, StageCall] = {}
        self._mending = asyncio.Lock()
        self._draining = False
        self._left = STOPPED
        self._refused = ""
        self._notes: list[str] = []
        self._lost_attempts: list[LostAttempt] = []
        self._life = uuid.uuid4().hex

    async def submit(self, trial: str, outputs: Sequence[str], calls: Sequence[StageCall]) -> bool:
        """Start the stages of a trial. Who then leaves out what was sent here must wait for this call to return.

        Args:
            trial: the trial's fingerprint, for `wait_for`.
            outputs: fingerprints of the stages that it waits for.
            calls: those of its stages that no trial before had, inputs first.

        Returns:
            False if it lacks what was sent to an earlier life of it: send all stages of the trial then.
        """
        if self._shares and self._following is None:
            self._following = asyncio.create_task(self._room.follow())
        known = self._tasks.keys() | {call.fingerprint for call in calls}
        if not known.issuperset(outputs) or not all(known.issuperset(call.inputs) for call in calls):
            return False
        for call in calls:  # inputs come first, so every input has its task
            self._calls[call.artifact] = call
            if call.fingerprint not in self._tasks:
                below = (self._under[needed] for needed in call.inputs)
                self._under[call.fingerprint] = frozenset({call.artifact, *call.reads}).union(*below)
                self._tasks[call.fingerprint] = asyncio.create_task(self._run(call))
        waiting = self._future(trial)
        if not waiting.done():
            waiting.set_result(list(outputs))
        return True

    async def drain(self) -> None:
        """Start no more stages; those that run go on."""
        self._draining = True
        self._room.let_all_in()
        for fingerprint, status in self._live.items():
            if status.state == "waiting":
                self._ray.cancel(fingerprint)

    async def wait_for(self, trial: str) -> str | None:
        """Wait until the stages of a trial have ended; return why one failed, None if all are in the store."""
        outputs = await asyncio.shield(self._future(trial))
        outcomes = await asyncio.gather(*(asyncio.shield(self._tasks[output]) for output in outputs))
        return next((outcome.error for outcome in outcomes if outcome.error is not None), None)

    async def wait_until_begun(self) -> None:
        """Wait until a stage runs, or all that were submitted have ended."""
        await self._begun.wait()

    async def report(self, fingerprint: str, facts: dict[str, Any]) -> None:
        """Record the progress of a running stage."""
        status = self._live.get(fingerprint)
        if (note := facts.pop("note", None)) is not None:
            self._notes.append(note if status is None else f"{status.title}: {note}")
        if status is None:
            return  # its last report came after its end
        if status.state == "waiting":
            self._move(status, "running")
            status.started = time.time()
            self._begun.set()
        if facts.pop("kept", False):
            status.kept = time.time()
        for name, value in facts.items():
            setattr(status, name, value)

    async def snapshot(self) -> Snapshot:
        """The running stages, and what ended or was noted since the last snapshot; each is told once."""
        ended, self._ended = self._ended, []
        ends, self._ends = self._ends, {}
        notes, self._notes = self._notes, []
        lost, self._lost_attempts = self._lost_attempts, []
        running = {fingerprint: status for fingerprint, status in self._live.items() if status.state == "running"}
        kinds = {kind: dict(counts) for kind, counts in self._kinds.items()}
        return Snapshot(kinds, running, ended, notes, self._refused, self._life, ends, lost)

    async def lost_attempts(self) -> list[LostAttempt]:
        """The attempts at stages that were cut off since the last snapshot; each is told once."""
        lost, self._lost_attempts = self._lost_attempts, []
        return lost

    def _move(self, status: StageStatus, state: State) -> None:
        counts = self._kinds[status.kind]
        counts[status.state] -= 1
        counts[state] += 1
        status.state = state

    def _future(self, trial: str) -> asyncio.Future[list[str]]:
        if trial not in self._trials:
            self._trials[trial] = asyncio.get_running_loop().create_future()
        return self._trials[trial]

    async def _run(self, call: StageCall) -> Outcome:
        cpus, gpus = call.takes["CPU"], call.takes["GPU"]
        status = self._live[call.fingerprint] = StageStatus(call.title, call.kind, cpus=cpus, gpus=gpus)
        self._kinds[call.kind]["waiting"] += 1
        try:
            outcome, state = await self._outcome(call)
        except TbarError as error:  # of the store, which is looked at here
            outcome, state = Outcome(str(error)), "failed"
        if self._spending is not None:
            self._spending.end(call, None if status.started is None else time.time() - status.started)
        status.error, status.ended = outcome.error or "", time.time()
        self._move(status, state)
        self._ends[call.fingerprint] = state
        del self._live[call.fingerprint]
        if not self._live:  # all were in the store, or ended before their first report came
            self._begun.set()
        if state not in ("cached", "stopped"):
            self._ended.append(status)
        return outcome

    async def _outcome(self, call: StageCall) -> tuple[Outcome, State]:
        if await asyncio.to_thread(self._is_cached, call):
            if self._spending is not None:
                facts = await asyncio.to_thread(self._store.facts, call.artifact)
                self._spending.found(call, facts["ended"], facts["seconds"])
            return Outcome(), "cached"
        for needed in [self._tasks[fingerprint] for fingerprint in call.inputs]:
            outcome = await asyncio.shield(needed)
            if outcome.error is not None:
                return outcome, "stopped" if outcome.error in LEFT_TO_DO else "failed"
        outcome = await self._compute_once(call)
        for _ in range(MENDS):
            if outcome.broken is None or not await self._mend(outcome.broken):
                break
            outcome = await self._compute_once(call)
        if outcome.claimed:
            return Outcome(), "cached"
        if outcome.host:
            self._ray.locality.note(outcome.host, {**outcome.fetched, **call.reads})
        return outcome, "stopped" if outcome.error in LEFT_TO_DO else "failed" if outcome.error else "done"

    async def _compute_once(self, call: StageCall) -> Outcome:
        """Compute a stage, or wait for another launch that does: then the outcome is that it was claimed."""
        while (outcome := await self._compute(call)).claimed:
            if self._spending is not None:
                self._spending.end(call, None)
            if await self._is_computed_elsewhere(call):
                break
        return outcome

    async def _is_computed_elsewhere(self, call: StageCall) -> bool:
        """Wait for another launch that computes a stage; whether it did, and not ended without."""
        rival, told = Rival(self._store, call.artifact), False
        while not self._draining and await asyncio.to_thread(rival.lives):
            if not told:
                told = True
                self._notes.append(f"{call.title}: another launch on this store computes it, on {rival.host}")
            await asyncio.sleep(LOOKS)
        return await asyncio.to_thread(self._is_cached, call)

    def _is_cached(self, call: StageCall) -> bool:
        """Whether the store has a stage's artifact; a broken one is removed."""
        if not self._store.exists(f"artifacts/{call.artifact}/{COMMIT}"):
            return False
        if self._store.is_sound(call.artifact):
            return True
        self._notes.append(f"{call.title}: its artifact {call.artifact} is broken, and is computed again")
        self._store.discard(call.artifact)
        return False

    async def _compute(self, call: StageCall) -> Outcome:
        """Run a stage once it has its turn, unless the campaign is to start no more."""
        await self._room.take(call)
        try:
            if not self._draining and self._spending is not None:
                refused = self._spending.refuses(call)
                if refused is not None:
                    self._left, self._refused = OVER_BUDGET, refused
                    await self.drain()
            if self._draining:
                return Outcome(self._left)
            if self._spending is not None:
                self._spending.begin(call)
            return await self._attempt(call)
        finally:
            self._room.give(call)

    async def _attempt(self, call: StageCall) -> Outcome:
        """Run a stage, again where what it runs on is lost."""
        attempts = Attempts()
        while (outcome := await self._run_on_ray(call)).lost is not None:
            self._note_lost(call, outcome.lost)
            if self._draining:
                return Outcome(self._left)
            again = attempts.again(outcome.lost)
            if again is None:
                return Outcome(f"{outcome.error}; it was tried again {MOST[outcome.lost]} times")
            self._notes.append(f"{call.title}: {again}")
        return outcome

    async def _run_on_ray(self, call: StageCall) -> Outcome:
        inputs = self._under[call.fingerprint]
        return await self._ray.run(call, inputs, lambda: self._left if self._draining else None)

    def _note_lost(self, call: StageCall, cause: Cause) -> None:
        """Keep what an attempt has cost, and let its stage wait for the next one."""
        status = self._live[call.fingerprint]
        attempt = status.lost(cause, time.time())
        self._lost_attempts.append(attempt)
        if self._spending is not None:
            self._spending.lose(call, attempt.seconds)
        status.kept = None
        if status.state == "running":
            self._move(status, "waiting")

    async def _mend(self, artifact: str) -> bool:
        """Compute a broken artifact again; whether that went well."""
        call = self._calls.get(artifact)
        if call is None:
            return False
        async with self._mending:  # several stages may have met it
            if self._tasks[call.fingerprint].done():
                problem = await asyncio.to_thread(self._store.verify, artifact, whole=True)
                if problem is not None:
                    self._notes.append(f"{call.title}: its artifact {artifact} is broken, and is computed again")
                    await asyncio.to_thread(self._store.discard, artifact)
                    self._tasks[call.fingerprint] = asyncio.create_task(self._run(call))
        return (await asyncio.shield(self._tasks[call.fingerprint])).error is None

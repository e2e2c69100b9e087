"""What a running launch says of itself in the store, so that any machine that sees the store can watch it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.execution.calls import Snapshot, State
from tbar_ray.records.part import Part
from tbar_ray.store.store import Store

FOLDER = "live"
"""Folder of a campaign's folder: a file for each launch that runs."""
EVERY = 5.0
"""Seconds between two states of one launch."""


class LiveStage(Part):
    """A stage that runs."""

    title: str
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    rate: float | None = None


class LiveKind(Part):
    """The stages of one kind: how many are in each state."""

    kind: str
    states: dict[State, int]


class LiveState(Part):
    """A launch at one moment.

    Attributes:
        written: when, in seconds since the epoch.
        trials: how many it has; `ended` have a record.
        stages: how many all its trials have; None where a sampler chooses them.
        kinds: of stages, in their order.
        left: seconds that it still takes, about; None while nobody can tell.
    """

    written: float
    trials: int
    ended: int
    stages: int | None
    kinds: tuple[LiveKind, ...]
    running: tuple[LiveStage, ...] = ()
    left: float | None = None


def state_of(snapshot: Snapshot, *, trials: int, ended: int, stages: int | None, left: float | None) -> LiveState:
    """The state of a launch, from what its coordinator says."""
    running = tuple(
        LiveStage(title=one.title, done=one.done, total=one.total, loss=one.loss, rate=one.rate)
        for one in snapshot.running.values()
    )
    kinds = tuple(LiveKind(kind=kind, states=dict(counts)) for kind, counts in snapshot.kinds.items())
    return LiveState(
        written=time.time(), trials=trials, ended=ended, stages=stages, kinds=kinds, running=running, left=left
    )


class Announcement:
    """A launch's file in the store, written now and then, in a thread of its own, and removed at the end.

    A store that does not answer is no reason to stop or to wait: nothing but a view depends on it.

    Args:
        store: of the campaign.
        folder: of the campaign in it.
        launch: what tells launches of the campaign apart: its share, or `whole`.
    """

    def __init__(self, store: Store, folder: str, launch: str) -> None:
        self._store, self._path = store, f"{folder}/{FOLDER}/{launch}.json"
        self._written = -EVERY
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="announcement")
        self._writing: Future[None] | None = None

    def write(self, state: LiveState) -> None:
        """Write a state, unless the last one is too young, or still being written."""
        now = time.monotonic()
        if now - self._written >= EVERY and (self._writing is None or self._writing.done()):
            self._written = now
            self._writing = self._thread.submit(self._write, state)

    def remove(self) -> None:
        """The launch has ended."""
        self._thread.shutdown()
        with suppress(StoreError, OSError):
            self._store.remove(self._path)

    def _write(self, state: LiveState) -> None:
        with suppress(StoreError, OSError):
            self._store.write_json(self._path, state.model_dump(mode="json"))


def live_states(store: Store, folder: str) -> Mapping[str, LiveState]:
    """The launches of a campaign that run, or were killed, by what tells them apart."""
    found = {}
    for file in store.list_json(f"{folder}/{FOLDER}"):
        with suppress(StoreError, ValidationError):  # it is being written, or was just removed
            found[file.removesuffix(".json")] = LiveState.model_validate(store.read_json(f"{folder}/{FOLDER}/{file}"))
    return found

"""What a running launch says of itself in the store, so that any machine that sees the store can watch it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.execution.calls import State
from tbar_ray.records.lost_attempts import LostAttempt, note_lost
from tbar_ray.records.part import Part
from tbar_ray.store.store import Store

FOLDER = "live"
"""Folder of a campaign's folder: a file for each launch that runs."""
EVERY = 5.0
"""Seconds between two states of one launch."""


class LiveStage(Part):
    """A stage that runs, and how far it is."""

    title: str
    done: int | None = None
    total: int | None = None
    loss: float | None = None
    rate: float | None = None


class LiveGroup(Part):
    """A stage, or several of one kind, in the tree of stages.

    Attributes:
        kind: of the stages.
        title: of the only stage; empty for several.
        states: how many are in each state.
        running: those that run; of many, some.
        below: what needs them.
    """

    kind: str
    title: str = ""
    states: dict[State, int]
    running: tuple[LiveStage, ...] = ()
    below: tuple[LiveGroup, ...] = ()

    @property
    def groups(self) -> Iterator[LiveGroup]:
        """This one and all below."""
        yield self
        for group in self.below:
            yield from group.groups


class LiveState(Part):
    """A launch at one moment.

    Attributes:
        written: when, in seconds since the epoch.
        trials: how many it has; `ended` have a record.
        stages: how many all its trials have; None where a sampler chooses them.
        graph: the stages, each below what it needs.
        left: seconds that it still takes, about; None while nobody can tell.
        at_stake: the attempts that are lost if it is killed.
    """

    written: float
    trials: int
    ended: int
    stages: int | None
    graph: tuple[LiveGroup, ...]
    left: float | None = None
    at_stake: tuple[LostAttempt, ...] = ()

    @property
    def counts(self) -> Mapping[State, int]:
        """Number of stages by state."""
        found: Counter[State] = Counter()
        for first in self.graph:
            for group in first.groups:
                found.update(group.states)
        return found


class Announcement:
    """A launch's file in the store, written now and then, in a thread of its own, and removed at the end.

    A store that does not answer is no reason to stop or to wait: no result depends on it. It also writes down the
    attempts that were lost, as soon as the store answers.

    Args:
        store: of the campaign.
        folder: of the campaign in it.
        launch: what tells launches of the campaign apart: its share, or `whole`.
    """

    def __init__(self, store: Store, folder: str, launch: str) -> None:
        self._store, self._folder, self._path = store, folder, path_of(folder, launch)
        self._lost: list[LostAttempt] = []
        self._written = -EVERY
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="announcement")
        self._writing: Future[None] | None = None

    @property
    def due(self) -> bool:
        """Whether a state would be written now."""
        young = time.monotonic() - self._written < EVERY
        return not young and (self._writing is None or self._writing.done())

    def write(self, state: LiveState) -> None:
        """Write a state, unless the last one is too young, or still being written."""
        if self.due:
            self._written = time.monotonic()
            self._writing = self._thread.submit(self._write, state)

    def lose(self, attempts: Sequence[LostAttempt]) -> None:
        """Write down attempts that were cut off."""
        if attempts:
            self._lost.extend(attempts)
            self._thread.submit(self._write_lost)

    def remove(self) -> None:
        """The launch has ended."""
        self._thread.submit(self._write_lost)
        self._thread.shutdown()
        with suppress(StoreError, OSError):
            self._store.remove(self._path)

    def _write(self, state: LiveState) -> None:
        self._write_lost()
        with suppress(StoreError, OSError):
            self._store.write_json(self._path, state.model_dump(mode="json"))

    def _write_lost(self) -> None:
        """Write down what was not; in the one thread, so that nothing is written twice."""
        if told := list(self._lost):
            with suppress(StoreError, OSError):
                note_lost(self._store, self._folder, told)
                del self._lost[: len(told)]


def path_of(folder: str, launch: str) -> str:
    """Path of a launch's file in the store."""
    return f"{folder}/{FOLDER}/{launch}.json"


def note_killed(store: Store, folder: str, launch: str) -> None:
    """Write down what an earlier launch has lost that was killed, as far as its last state tells.

    Args:
        store: of the campaign.
        folder: of the campaign in it.
        launch: what tells launches apart; nobody else runs it.
    """
    if (last := live_states(store, folder).get(launch)) is None:
        return
    if last.at_stake:
        note_lost(store, folder, last.at_stake)
    store.remove(path_of(folder, launch))


def live_states(store: Store, folder: str) -> Mapping[str, LiveState]:
    """The launches of a campaign that run, or were killed, by what tells them apart."""
    found = {}
    for file in store.list_json(f"{folder}/{FOLDER}"):
        with suppress(StoreError, ValidationError):  # it is being written, or was just removed
            found[file.removesuffix(".json")] = LiveState.model_validate(store.read_json(f"{folder}/{FOLDER}/{file}"))
    return found

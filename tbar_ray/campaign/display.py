"""Progress of a running campaign: lines of what has ended and, on a terminal, what runs below them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError
from rich.console import Console, Group
from rich.live import Live

from tbar_ray.campaign.live import Announcement, LiveState
from tbar_ray.campaign.live_view import best_lines, describe_trial, facts_of, head_line, running_table
from tbar_ray.campaign.saying import say
from tbar_ray.campaign.stage_graph import StageGraph
from tbar_ray.campaign.time_left import TimeLeft, told
from tbar_ray.execution.calls import Snapshot, StageStatus, State
from tbar_ray.records.record import TrialRecord

POLL = 0.5
"""Seconds between looks at the coordinator."""
WAIT = 0.2
"""Seconds between looks at whether it has answered."""
LOG_EVERY = 15.0
"""Seconds between progress lines of a running stage, in a log."""
ENDED: tuple[State, ...] = ("done", "cached", "failed", "stopped")


@dataclass(frozen=True)
class Extent:
    """How much there is to show: trials, stages where they are known, and the records that were there before."""

    trials: int
    stages: int | None
    known: Sequence[TrialRecord] = ()


class Display:
    """Shows stages and trials until it is closed; a context manager around the sweep.

    It looks at the coordinator in a thread, which has ended when the context is left: one that asked Ray for something
    when Ray has ended would end the process.

    Args:
        console: where to show them.
        coordinator: the actor that runs stages.
        extent: how many there are.
        graph: the stages that are known so far.
        announcement: tells other machines as well.
        on_restart: called, in that thread, when Ray has restarted the coordinator, which knows nothing then.
        is_stopping: whether no more stages are to start, which the coordinator is then told.
    """

    def __init__(
        self,
        console: Console,
        coordinator: Any,
        extent: Extent,
        graph: StageGraph,
        announcement: Announcement,
        on_restart: Callable[[], None] = lambda: None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._console, self._coordinator = console, coordinator
        self._extent, self._graph, self._announcement = extent, graph, announcement
        self._records: list[TrialRecord] = list(extent.known)
        self._ended = 0
        self._left = TimeLeft(extent.trials)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._logged: dict[str, float] = {}
        self._on_restart, self._is_stopping = on_restart, is_stopping
        self._life = ""
        self._running: Sequence[StageStatus] = ()
        self._drained = False

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if self._live:
            self._live.stop()
        self._announcement.remove()

    def trial_ended(self, record: TrialRecord) -> None:
        """Show a trial's result."""
        self._records.append(record)
        self._ended += 1
        now = time.monotonic()
        self._left.trial_ended(now)
        left = told(self._left.seconds(now))
        number = f"trial {self._ended}/{self._extent.trials}"
        self._say(f"{number}  {describe_trial(record)}{f'  ({left})' if left else ''}")

    def _watch(self) -> None:
        while not self._stop.wait(POLL):
            try:
                if self._is_stopping() and not self._drained:
                    self._drained = True
                    self._coordinator.drain.remote()
                snapshot = self._ask()
                if snapshot is None:
                    return
                if self._life not in ("", snapshot.life):
                    self._say("the coordinator of stages was restarted")
                    self._drained = False
                    now = time.time()
                    self._announcement.lose([status.lost("coordinator", now) for status in self._running])
                    self._on_restart()
                self._life = snapshot.life
            except ActorUnavailableError:  # it is being restarted
                continue
            except Exception:  # the cluster is going away; the sweep itself reports why
                return
            self._show(snapshot)

    def _ask(self) -> Snapshot | None:
        """The coordinator's answer; None if the display was closed first."""
        asked = self._coordinator.snapshot.remote()
        while not self._stop.is_set():
            if ray.wait([asked], timeout=WAIT)[0]:
                found: Snapshot = ray.get(asked)
                return found
        return None

    def _show(self, snapshot: Snapshot) -> None:
        for note in snapshot.notes:
            self._say(f"note: {note}")
        for line in self._ended_lines(snapshot):
            self._say(line)
        left = self._left.seconds(time.monotonic())
        if self._live:
            head = head_line(self._extent.trials, self._ended, self._extent.stages, snapshot.counts, left)
            running = running_table(list(snapshot.running.values()))
            self._live.update(Group(running, *best_lines(self._records), head), refresh=True)
        else:
            self._log_running(snapshot)
        self._graph.update(snapshot)
        self._running = list(snapshot.running.values())
        self._announcement.lose(snapshot.lost)
        if self._announcement.due:
            self._announcement.write(self._state(left))

    def _state(self, left: float | None) -> LiveState:
        now = time.time()
        return LiveState(
            written=now,
            trials=self._extent.trials,
            ended=self._ended,
            stages=self._extent.stages,
            graph=self._graph.groups(),
            left=left,
            at_stake=tuple(status.lost("launch", now) for status in self._running),
        )

    def _ended_lines(self, snapshot: Snapshot) -> Iterator[str]:
        """The stages that have ended since the last snapshot, each with its number."""
        before = sum(snapshot.counts[state] for state in ENDED) - len(snapshot.ended)
        total = "" if self._extent.stages is None else f"/{self._extent.stages}"
        for number, status in enumerate(snapshot.ended, start=before + 1):
            seconds = "" if status.seconds is None else f" in {status.seconds:.1f} s"
            yield f"stage {number}{total}  {status.state}: {status.title}{seconds}  {status.error}"

    def _log_running(self, snapshot: Snapshot) -> None:
        """Print the stages that started since the last call, and at intervals the progress of running ones."""
        now = time.monotonic()
        for fingerprint, status in snapshot.running.items():
            if now - self._logged.get(fingerprint, -LOG_EVERY) >= LOG_EVERY:
                self._logged[fingerprint] = now
                self._say(f"running: {status.title}  {facts_of(status)}")
        self._logged = {key: at for key, at in self._logged.items() if key in snapshot.running}

    def _say(self, line: str) -> None:
        say(self._console, line)

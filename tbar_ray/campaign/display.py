"""Progress of a running campaign: a live table on a terminal, plain lines in a log."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, get_args

import ray
from ray.exceptions import ActorUnavailableError
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tbar_ray.execution.calls import Snapshot, StageStatus, State
from tbar_ray.planning.axes import factors_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.redaction import redact

POLL = 0.5
"""Seconds between looks at the coordinator."""
WAIT = 0.2
"""Seconds between looks at whether it has answered."""
LOG_EVERY = 15.0
"""Seconds between progress lines of a running stage, in a log."""
SHOWN_TRIALS = 12


class Display:
    """Shows stages and trials until it is closed; a context manager around the sweep.

    It looks at the coordinator in a thread, which has ended when the context is left: one that asked Ray for something
    when Ray has ended would end the process.

    Args:
        console: where to show them.
        coordinator: the actor that runs stages.
        total_trials: how many there are.
        on_restart: called, in that thread, when Ray has restarted the coordinator, which knows nothing then.
        is_stopping: whether no more stages are to start, which the coordinator is then told.
    """

    def __init__(
        self,
        console: Console,
        coordinator: Any,
        total_trials: int,
        on_restart: Callable[[], None] = lambda: None,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._console = console
        self._coordinator = coordinator
        self._total = total_trials
        self._ended = 0
        self._last: deque[TrialRecord] = deque(maxlen=SHOWN_TRIALS)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._logged: dict[str, float] = {}
        self._on_restart, self._is_stopping = on_restart, is_stopping
        self._life = ""
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

    def trial_ended(self, record: TrialRecord) -> None:
        """Show a trial's result."""
        self._ended += 1
        self._last.append(record)
        if not self._live:
            self._say(f"trial {self._ended}/{self._total}: {describe_trial(record)}")

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
                    self._on_restart()
                self._life = snapshot.life
            except ActorUnavailableError:  # it is being restarted
                continue
            except Exception:  # the cluster is going away; the sweep itself reports why
                return
            for note in snapshot.notes:
                self._say(f"  note: {note}")
            if self._live:
                self._live.update(self._render(snapshot), refresh=True)
            else:
                self._log(snapshot)

    def _ask(self) -> Snapshot | None:
        """The coordinator's answer; None if the display was closed first."""
        asked = self._coordinator.snapshot.remote()
        while not self._stop.is_set():
            if ray.wait([asked], timeout=WAIT)[0]:
                found: Snapshot = ray.get(asked)
                return found
        return None

    def _render(self, snapshot: Snapshot) -> RenderableType:
        stages = Table.grid(padding=(0, 1))
        for status in snapshot.running.values():
            bar = ProgressBar(total=status.total, completed=status.done or 0, width=24, pulse=status.total is None)
            stages.add_row(Text("▸", style="cyan"), Text(status.title), bar, Text(_facts(status), style="dim"))
        trials = Table.grid(padding=(0, 1))
        for record in self._last:
            style = {"done": "green", "infeasible": "yellow", "dominated": "dim"}.get(record.status, "red")
            trials.add_row(Text("●", style=style), Text(describe_trial(record)))
        counts = ", ".join(f"{number} {state}" for state in get_args(State) if (number := snapshot.counts.get(state)))
        head = Text(f"trials {self._ended}/{self._total}   stages {counts}", style="bold")
        return Group(head, trials, stages)

    def _log(self, snapshot: Snapshot) -> None:
        """Print the stages that started or ended since the last call, and at intervals the progress of running ones."""
        now = time.monotonic()
        for status in snapshot.ended:
            seconds = "" if status.seconds is None else f" in {status.seconds:.1f} s"
            self._say(f"{status.state:>8}  {status.title}{seconds}  {status.error}")
        for fingerprint, status in snapshot.running.items():
            if now - self._logged.get(fingerprint, -LOG_EVERY) >= LOG_EVERY:
                self._logged[fingerprint] = now
                self._say(f"{status.state:>8}  {status.title}  {_facts(status)}")
        self._logged = {key: at for key, at in self._logged.items() if key in snapshot.running}

    def _say(self, line: str) -> None:
        self._console.print(redact(line.rstrip()), markup=False)


def describe_trial(record: TrialRecord) -> str:
    """Describe a trial and its result in one line."""
    cell = ", ".join(_settings(record))
    if record.status == "failed" or record.removed is None or record.alpha is None:
        return f"{cell}: {record.status}: {record.reason}"
    ca, asr, pa = (record.value(metric) for metric in ("ca", "asr", "pa"))
    result = f"α {record.alpha:g}: CA {ca:.1%}, ASR {asr:.1%}, PA {pa:.1%}"
    return f"{cell}: {result}" + (" (too little CA retained)" if record.status == "infeasible" else "")


def _settings(record: TrialRecord) -> list[str]:
    """Attack and method, then every other axis with its value; axes without a value are left out."""
    told = [record.attack, record.method]
    for name, factor in factors_of(record.settings).items():
        value = record.settings[name]
        if name not in ("attack", "method") and value is not None:
            told.append(factor.told(value))
    return told


def _facts(status: StageStatus) -> str:
    parts = []
    if status.total:
        parts.append(f"{status.done or 0:,}/{status.total:,}")
    if status.loss is not None:
        parts.append(f"loss {status.loss:.3f}")
    if status.rate is not None:
        parts.append(f"{status.rate:,.0f} images/s")
    return "  ".join(parts)

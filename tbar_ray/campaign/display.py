"""What a person sees while a campaign runs: a live table on a terminal, plain lines in a log."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

import ray
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tbar_ray.records.results import Record

POLL = 0.5
"""Seconds between looks at the coordinator."""
LOG_EVERY = 15.0
"""Seconds between progress lines of a running stage, in a log."""
SHOWN_TRIALS = 12

Snapshot = dict[str, dict[str, Any]]


class Display:
    """Shows stages and trials until it is closed; a context manager around the sweep."""

    def __init__(self, console: Console, coordinator: Any, total_trials: int) -> None:
        self._console = console
        self._coordinator = coordinator
        self._total = total_trials
        self._records: list[Record] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._logged: dict[str, tuple[str, float]] = {}

    def __enter__(self) -> Display:
        if self._live:
            self._live.start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)
        if self._live:
            self._live.stop()

    def trial_ended(self, record: Record) -> None:
        """Show a trial's result."""
        self._records.append(record)
        if not self._live:
            self._console.print(f"trial {len(self._records)}/{self._total}: {describe_trial(record)}", markup=False)

    def _watch(self) -> None:
        while not self._stop.wait(POLL):
            try:
                snapshot: Snapshot = ray.get(self._coordinator.snapshot.remote(), timeout=10)
            except Exception:  # the cluster is going away; the sweep itself reports why
                return
            if self._live:
                self._live.update(self._render(snapshot), refresh=True)
            else:
                self._log(snapshot)

    def _render(self, snapshot: Snapshot) -> RenderableType:
        stages = Table.grid(padding=(0, 1))
        for entry in snapshot.values():
            if entry["state"] != "running":
                continue
            total = entry.get("total")
            bar = ProgressBar(total=total, completed=entry.get("done", 0), width=24, pulse=total is None)
            stages.add_row("[cyan]▸[/]", Text(entry["title"]), bar, Text(_facts(entry), style="dim"))
        counts = _counts(snapshot)
        trials = Table.grid(padding=(0, 1))
        for record in self._records[-SHOWN_TRIALS:]:
            style = {"done": "green", "infeasible": "yellow", "dominated": "dim"}.get(record["status"], "red")
            trials.add_row(Text("●", style=style), Text(describe_trial(record)))
        head = Text(f"trials {len(self._records)}/{self._total}   stages {counts}", style="bold")
        return Group(head, trials, stages)

    def _log(self, snapshot: Snapshot) -> None:
        for fingerprint, entry in snapshot.items():
            state, logged_at = self._logged.get(fingerprint, ("", 0.0))
            now = time.monotonic()
            running = entry["state"] == "running"
            changed = entry["state"] != state and entry["state"] in ("running", "done", "failed")
            if changed or (running and now - logged_at > LOG_EVERY):
                self._logged[fingerprint] = (entry["state"], now)
                seconds = f" in {entry['ended'] - entry['started']:.1f} s" if _timed(entry) else ""
                facts = _facts(entry) if running else entry.get("error", "")
                self._console.print(f"{entry['state']:>8}  {entry['title']}{seconds}  {facts}".rstrip(), markup=False)


def describe_trial(record: Record) -> str:
    """Return a trial's cell and result in one line."""
    cell = f"{record['attack']}, {record['forget_size']} forget images, {record['clean_fraction']:.0%} clean"
    if record["status"] == "failed" or record.get("ca") is None:
        return f"{cell}: {record['status']}: {record['reason']}"
    result = f"α {record['alpha']:g}: CA {record['ca']:.1%}, ASR {record['asr']:.1%}, PA {record['pa']:.1%}"
    return f"{cell}: {result}" + (" (too little CA retained)" if record["status"] == "infeasible" else "")


def _facts(entry: dict[str, Any]) -> str:
    parts = []
    if entry.get("total"):
        parts.append(f"{entry.get('done', 0):,}/{entry['total']:,}")
    if "loss" in entry:
        parts.append(f"loss {entry['loss']:.3f}")
    if "rate" in entry:
        parts.append(f"{entry['rate']:,.0f} images/s")
    return "  ".join(parts)


def _counts(snapshot: Snapshot) -> str:
    states = [entry["state"] for entry in snapshot.values()]
    return ", ".join(
        f"{states.count(state)} {state}"
        for state in ("running", "waiting", "done", "cached", "failed")
        if state in states
    )


def _timed(entry: dict[str, Any]) -> bool:
    return entry["state"] == "done" and "started" in entry and "ended" in entry

"""A campaign that runs, seen from any machine that sees its store."""

from __future__ import annotations

import time
from collections.abc import Callable

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from tbar_ray.campaign.graph_view import StageTree
from tbar_ray.campaign.live import LiveState, live_states
from tbar_ray.campaign.live_view import best_lines, head_line
from tbar_ray.colours import warned
from tbar_ray.errors import StoreError
from tbar_ray.naming import counted
from tbar_ray.records.ledger import Ledger, in_order
from tbar_ray.records.record import TrialRecord
from tbar_ray.search.journal_place import FILE
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

SILENT, GONE = 60.0, 600.0
"""Seconds without a sign of life after which a launch is said to be silent, and is not waited for any more."""
MANY, WIDE = 60, 160
"""Lines of a log at most, and its columns."""


class Watcher:
    """Looks at a campaign again and again; a record that has been read is not read again.

    Args:
        spec: the campaign.
        store: where it runs to.
    """

    def __init__(self, spec: CampaignSpec, store: Store) -> None:
        self._spec, self._store = spec, store
        self._ledger = Ledger(store, spec)
        self._records: dict[str, TrialRecord] = {}
        self.runs = False
        """Whether a launch ran at the last look."""

    def look(self, now: float | None = None, lines: int = MANY, columns: int = WIDE) -> RenderableType:
        """What there is to see: of every launch its trials, the time left and its stages, then the best trials.

        Args:
            now: the time, in seconds since the epoch.
            lines: of the terminal; stages are folded by kind until they fit.
            columns: of the terminal.
        """
        now = time.time() if now is None else now
        states = live_states(self._store, self._ledger.folder)
        self.runs = any(now - state.written < GONE for state in states.values())
        self._read_records()
        records = list(in_order(self._records.values()))
        after = [*best_lines(records), *self._study()]
        below = sum(1 + (line.cell_len - 1) // columns for line in after)
        room = (lines - below - 1) // max(1, len(states))
        parts: list[RenderableType] = []
        for name, state in states.items():
            launch = "" if name == "whole" else f", {name.replace('-', ' ')}"
            title = Text(f"{self._spec.name}{launch}{_sign(state, now)}", style="bold")
            head = head_line(state.trials, state.ended, state.stages, state.counts, state.left)
            parts.append(StageTree(Text("\n").join([title, head]), state.graph, room))
        if not states:
            parts.append(Text(f"{self._spec.name}: no launch runs; {counted(len(records), 'trial')} in the store"))
        return Group(*parts, *after)

    def _read_records(self) -> None:
        for file in self._store.list_json(f"{self._ledger.folder}/trials"):
            fingerprint = file.removesuffix(".json")
            known = self._records.get(fingerprint)
            if known is None or known.status == "failed":  # it may have been run again
                record = self._ledger.find(fingerprint)
                if record is not None:
                    self._records[fingerprint] = record

    def _study(self) -> list[Text]:
        """How to look at the study of a search."""
        path = f"{self._ledger.folder}/{FILE}"
        if self._spec.search.sampler == "grid" or not self._store.exists(path):
            return []
        return [Text(f"study        optuna-dashboard {self._store.url}/{path}", style="dim")]


def watch(watcher: Watcher, console: Console, every: float, sleep: Callable[[float], None] = time.sleep) -> None:
    """Show a campaign until no launch of it runs; in a log, once.

    Args:
        watcher: looks at it.
        console: where to show it.
        every: seconds between two looks.
        sleep: waits.

    Raises:
        StoreError: one line, if the store cannot be read.
    """
    first = watcher.look(lines=console.height if console.is_terminal else MANY, columns=console.width)
    if not (console.is_terminal and watcher.runs):
        console.print(first)
        return
    with Live(first, console=console, auto_refresh=False) as live:
        while watcher.runs:
            sleep(every)
            try:
                live.update(watcher.look(lines=console.height, columns=console.width), refresh=True)
            except StoreError as error:  # a store may be away for a while
                live.update(warned(str(error)), refresh=True)


def _sign(state: LiveState, now: float) -> str:
    """When a launch was last heard of, where that is long ago."""
    silent = now - state.written
    if silent < SILENT:
        return ""
    return f": silent for {silent / 60:.0f} min (since {time.strftime('%H:%M:%S', time.localtime(state.written))})"

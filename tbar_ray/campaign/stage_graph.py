"""The stages of a launch as a tree, and how far each is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tbar_ray.campaign.live import LiveGroup, LiveStage
from tbar_ray.execution.calls import Snapshot, StageStatus, State
from tbar_ray.stages.node import Stage, stages_in_order

FEW = 3
"""Stages of a kind below one stage that are shown one by one; more are folded into a group."""
MOST_GROUPS, MOST_RUNNING = 40, 16
"""Groups and running stages that are told at most, so that the file in the store stays small."""


class StageGraph:
    """Stages as a tree: each is below the last of the stages that it needs, which is the deepest.

    Stages may be added while another thread asks for groups.
    """

    def __init__(self) -> None:
        self._stages: dict[str, Stage] = {}
        self._depth: dict[str, int] = {}
        self._below: dict[str, list[str]] = {}
        self._first: list[str] = []
        self._ended: dict[str, State] = {}
        self._running: dict[str, StageStatus] = {}

    def add(self, outputs: Sequence[Stage]) -> None:
        """Add stages and all that they need; those that are there stay as they are."""
        for stage in stages_in_order(outputs):
            if stage.fingerprint in self._depth:
                continue
            needed = [found.fingerprint for found in stage.needed_stages()]
            above = max(needed, key=lambda found: self._depth[found], default=None)
            self._stages[stage.fingerprint], self._below[stage.fingerprint] = stage, []
            self._depth[stage.fingerprint] = 0 if above is None else self._depth[above] + 1
            (self._first if above is None else self._below[above]).append(stage.fingerprint)

    def update(self, snapshot: Snapshot) -> None:
        """Take over what runs, and how stages have ended."""
        self._ended.update(snapshot.ends)
        self._running = dict(snapshot.running)

    def groups(self) -> tuple[LiveGroup, ...]:
        """The tree, folded by kind: where many stages of a kind are below one, or all groups would be too many."""
        for few in range(FEW, 0, -1):
            found = tuple(self._groups(self._first, few))
            if sum(1 for first in found for _ in first.groups) <= MOST_GROUPS:
                break
        return found

    def _groups(self, stages: Sequence[str], few: int) -> Iterator[LiveGroup]:
        """Groups of stages that are below one, or below a group, in the order in which they were added."""
        of_kind: dict[str, list[str]] = {}
        for fingerprint in stages:
            of_kind.setdefault(self._stages[fingerprint].kind, []).append(fingerprint)
        for kind, members in of_kind.items():
            if len(members) <= few:
                yield from (self._group(kind, [member], few) for member in members)
            else:
                yield self._group(kind, members, 1)

    def _group(self, kind: str, members: Sequence[str], few: int) -> LiveGroup:
        below = [fingerprint for member in members for fingerprint in self._below[member]]
        running = [self._running[member] for member in members if member in self._running]
        return LiveGroup(
            kind=kind,
            title=self._stages[members[0]].title if len(members) == 1 else "",
            states=Counter(map(self._state, members)),
            running=tuple(_told(running[:MOST_RUNNING])),
            below=tuple(self._groups(below, few)),
        )

    def _state(self, fingerprint: str) -> State:
        return "running" if fingerprint in self._running else self._ended.get(fingerprint, "waiting")


def _told(running: Iterable[StageStatus]) -> Iterator[LiveStage]:
    for one in running:
        yield LiveStage(title=one.title, done=one.done, total=one.total, loss=one.loss, rate=one.rate)

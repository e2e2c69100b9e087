"""The lines of a running campaign, without Ray: what its coordinator says is made up."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from tbar_ray.campaign.display import Display, Extent
from tbar_ray.campaign.live import Announcement, live_states
from tbar_ray.campaign.stage_graph import StageGraph
from tbar_ray.execution.calls import Snapshot, StageStatus, State
from tbar_ray.records.lost_attempts import lost_attempts_of
from tbar_ray.store.store import Store
from tests.records.records import infeasible, record
from tests.waiting import wait_until

FOLDER = "campaigns/demo/1234"
RUNNING = StageStatus("plant badnets", "infected-model", "running", 0.0, done=71, total=220, loss=1.25, rate=741)
ENDED = StageStatus("corpus of 400 scenes", "corpus", "done", 10.0, 24.2)
KINDS: Mapping[str, Mapping[State, int]] = {
    "corpus": {"done": 1}, "evaluation-set": {"cached": 1}, "infected-model": {"running": 1, "waiting": 1},
}  # fmt: skip


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.campaign.display.ray.wait", lambda asked, **_: (asked, []))
    monkeypatch.setattr("tbar_ray.campaign.display.ray.get", lambda asked: asked)
    monkeypatch.setattr("tbar_ray.campaign.display.POLL", 0.01)


class Coordinator:
    """Says a snapshot, and then the same without news."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._first, self.asked = snapshot, Event()
        self.snapshot = SimpleNamespace(remote=self._next)
        self._told = False

    def _next(self) -> Snapshot:
        if not self._told:
            self._told = True
            return self._first
        self.asked.set()
        return Snapshot(self._first.kinds, self._first.running, [])


def shown(
    tmp_path: Path, records: Sequence[Any] = (), *, terminal: bool = False, width: int = 160, stages: int | None = 31
) -> tuple[str, Store]:
    """What a display has printed after one snapshot and some trials."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    store = Store(str(tmp_path / "store"))
    coordinator = Coordinator(Snapshot(KINDS, {"f": RUNNING}, [ENDED], ["a shard is lost"]))
    graph = StageGraph()
    extent = Extent(4, stages, [record("blended", size=10)])
    with Display(console, coordinator, extent, graph, Announcement(store, FOLDER, "whole")) as display:
        for each in records:
            display.trial_ended(each)
        assert coordinator.asked.wait(60)
        wait_until(lambda: bool(live_states(store, FOLDER)))
    return out.getvalue(), store


def test_lines_of_a_log_have_a_time_a_number_and_an_estimate(tmp_path: Path) -> None:
    text, _ = shown(tmp_path, [record(size=10), record(size=20), infeasible(size=30)])
    lines = text.splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  \S", line) for line in lines)
    told = [line[10:] for line in lines]
    assert "stage 2/31  done: corpus of 400 scenes in 14.2 s" in told, "of the three that have ended, one is news"
    assert "running: plant badnets  71/220  loss 1.250  741 images/s" in told
    assert "note: a shard is lost" in told
    trials = [line for line in told if line.startswith("trial ")]
    assert trials[0].startswith("trial 1/4  badnets, tbar, forget set 10")
    assert "left)" not in trials[1]
    assert trials[2].endswith("left)")
    assert "\x1b" not in text


def test_a_sampler_s_stages_have_no_total(tmp_path: Path) -> None:
    text, _ = shown(tmp_path, stages=None)
    assert "stage 2  done" in text


@pytest.mark.parametrize("width", [80, 160])
def test_in_a_terminal_what_has_ended_stays_and_what_runs_is_below(tmp_path: Path, width: int) -> None:
    text, _ = shown(tmp_path, [record(size=10)], terminal=True, width=width)
    kept = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert "stage 2/31  done: corpus of 400 scenes in 14.2 s" in kept
    assert "▸ plant badnets" in kept
    assert "trials 1/4   stages of 31: 1 waiting, 1 running, 1 done, 1 cached" in kept
    assert "best so far  badnets, tbar" in kept
    assert "best so far  blended, tbar" in kept, "it was there before"
    assert "running: " not in kept, "a bar says it"
    assert "\x1b[?25h" in text, "the cursor is back"


def test_the_state_is_in_the_store_while_it_runs_and_not_after(tmp_path: Path) -> None:
    _, store = shown(tmp_path)
    assert not live_states(store, FOLDER)


def test_what_a_coordinator_ran_is_lost_with_it_and_at_stake_while_it_runs(tmp_path: Path) -> None:
    store, restarted = Store(str(tmp_path)), Event()
    running = {"f": StageStatus("plant badnets", "infected-model", "running", 10.0, cpus=2)}
    earlier = StageStatus("clean", "clean-model", "running", 5.0, cpus=1).lost("node", 9.0)
    states = iter([Snapshot(KINDS, running, [], life="first", lost=[earlier]), Snapshot({}, {}, [], life="second")])
    last = Snapshot({}, {}, [], life="second")
    coordinator = SimpleNamespace(snapshot=SimpleNamespace(remote=lambda: next(states, last)))
    announcement = Announcement(store, FOLDER, "whole")
    with Display(Console(quiet=True), coordinator, Extent(4, 31), StageGraph(), announcement, on_restart=restarted.set):
        assert restarted.wait(60)
        wait_until(lambda: bool(live_states(store, FOLDER)))
        (at_stake,) = live_states(store, FOLDER)["whole"].at_stake
    assert (at_stake.title, at_stake.cause, at_stake.cpus) == ("plant badnets", "launch", 2)
    lost = lost_attempts_of(store, FOLDER)
    assert [(attempt.title, attempt.cause) for attempt in lost] == [("clean", "node"), ("plant badnets", "coordinator")]
    assert lost[1].cpu_hours == lost[1].wasted_cpu_hours > 0

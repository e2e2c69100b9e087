from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from tbar_ray.campaign.live import Announcement, LiveState, live_states
from tbar_ray.campaign.watch import Watcher, watch
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.search.journal_place import FILE
from tbar_ray.store.store import Store
from tests.campaign.test_live import state
from tests.records.records import failed, record
from tests.specs import spec
from tests.waiting import wait_until

SPEC = spec(name="watched")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def announce(store: Store, told: LiveState, launch: str = "whole") -> Announcement:
    announcement = Announcement(store, Ledger(store, SPEC).folder, launch)
    announcement.write(told)
    wait_until(lambda: launch in live_states(store, Ledger(store, SPEC).folder))
    return announcement


def seen(watcher: Watcher, width: int = 100, now: float | None = None, lines: int = 60) -> str:
    out = io.StringIO()
    Console(file=out, width=width).print(watcher.look(now, lines))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 160])
def test_stages_by_state_what_runs_the_time_left_and_the_best_are_shown(store: Store, width: int) -> None:
    Ledger(store, SPEC).write(record(size=10))
    announce(store, state(1, 600.0))
    text = seen(Watcher(SPEC, store), width)
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines[0] == "watched"
    head = "trials 1/4   stages of 9: 4 waiting, 1 running, 1 done   about 10 min left"
    assert re.sub(r"\s+", " ", " ".join(lines[1:3])).startswith(re.sub(r"\s+", " ", head))
    corpus = lines.index("└── ✓ corpus of 400 scenes")
    assert lines[corpus + 1].startswith("    └── ▸ plant badnets ━")
    assert lines[corpus + 1].endswith("1/2  loss 0.500")
    assert lines[corpus + 2] == "        └── 4 × vector: 4 waiting"
    assert re.search(r"best so far  badnets, tbar, forget set 10\b", text)


def test_each_share_is_shown_and_one_that_is_silent_says_so(store: Store) -> None:
    told = state()
    announce(store, told, "share-1-of-2")
    announce(store, told.model_copy(update={"written": told.written - 600}), "share-2-of-2")
    watcher = Watcher(SPEC, store)
    text = seen(watcher, now=told.written + 1)
    assert "watched, share 1 of 2\n" in re.sub(r" +\n", "\n", text)
    assert "watched, share 2 of 2: silent for 10 min (since " in text
    assert watcher.runs
    seen(watcher, now=told.written + 601)
    assert not watcher.runs, "nobody waits for one that was killed"


def test_a_record_is_read_once_unless_its_trial_failed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(store, SPEC)
    for one in (record(size=10), failed(size=20)):
        ledger.write(one)
    watcher = Watcher(SPEC, store)
    assert "2 trials in the store" in seen(watcher)
    read: list[str] = []
    find = Ledger.find

    def noted(ledger: Ledger, fingerprint: str) -> TrialRecord | None:
        read.append(fingerprint)
        return find(ledger, fingerprint)

    monkeypatch.setattr(Ledger, "find", noted)
    seen(watcher)
    assert read == [failed(size=20).fingerprint]


def test_it_ends_when_the_launch_does(store: Store) -> None:
    announcement, slept = announce(store, state()), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            announcement.remove()

    out = io.StringIO()
    watch(Watcher(SPEC, store), Console(file=out, force_terminal=True, width=120), 2.5, sleep)
    assert slept == [2.5] * 3
    assert "no launch runs" in out.getvalue()


def test_a_log_is_given_one_look(store: Store) -> None:
    announce(store, state())
    out = io.StringIO()
    watch(Watcher(SPEC, store), Console(file=out, width=160), 1.0, lambda _: pytest.fail("it waited"))
    assert out.getvalue().count("trials 0/4") == 1


def test_the_study_of_a_search_is_named_once_it_is_there(store: Store) -> None:
    axes = {"attack": ["badnets"], "forget_size": {"low": 5, "high": 50}}
    made = spec(name="searching", search={"sampler": "tpe", "trials": 4, "axes": axes})
    assert "optuna-dashboard" not in seen(Watcher(made, store))
    path = f"{Ledger(store, made).folder}/{FILE}"
    store.write_json(path, {})
    assert f"optuna-dashboard {store.url}/{path}" in seen(Watcher(made, store), width=300)

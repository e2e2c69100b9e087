from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.campaign import live
from tbar_ray.campaign.live import Announcement, LiveState, live_states, state_of
from tbar_ray.execution.calls import Snapshot, StageStatus
from tbar_ray.store.store import Store

FOLDER = "campaigns/demo/1234"


def state(ended: int = 0, left: float | None = None) -> LiveState:
    running = {"f": StageStatus("plant badnets", "infected-model", "running", 0.0, done=1, total=2, loss=0.5)}
    snapshot = Snapshot({"vector": {"waiting": 2}, "corpus": {"done": 1}}, running, [])
    return state_of(snapshot, trials=4, ended=ended, stages=9, left=left)


def test_what_is_written_is_read_on_another_machine(tmp_path: Path) -> None:
    told = state(2, 90.0)
    Announcement(Store(str(tmp_path)), FOLDER, "share-1-of-2").write(told)
    assert live_states(Store(str(tmp_path)), FOLDER) == {"share-1-of-2": told}
    assert [kind.kind for kind in told.kinds] == ["vector", "corpus"], "in the order in which they were sent"
    assert told.running[0].loss == 0.5


def test_it_is_written_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    announcement = Announcement(store, FOLDER, "whole")
    announcement.write(state(1))
    announcement.write(state(2))
    assert live_states(store, FOLDER)["whole"].ended == 1
    monkeypatch.setattr(live, "EVERY", 0.0)
    announcement.write(state(3))
    assert live_states(store, FOLDER)["whole"].ended == 3
    announcement.remove()
    assert live_states(store, FOLDER) == {}


def test_a_file_that_is_half_there_is_left_out(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_json(f"{FOLDER}/live/whole.json", {"trials": 3})
    assert live_states(store, FOLDER) == {}


def test_a_store_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "campaigns").write_text("a file where a folder should be")
    announcement = Announcement(Store(str(tmp_path)), FOLDER, "whole")
    announcement.write(state())
    announcement.remove()

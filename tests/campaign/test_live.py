from __future__ import annotations

import time
from pathlib import Path
from threading import Event

import pytest

from tbar_ray.campaign import live
from tbar_ray.campaign.live import Announcement, LiveGroup, LiveStage, LiveState, live_states, note_killed
from tbar_ray.errors import StoreError
from tbar_ray.records.lost_attempts import LostAttempt, lost_attempts_of
from tbar_ray.store.store import Store
from tests.waiting import wait_until

FOLDER = "campaigns/demo/1234"


def state(ended: int = 0, left: float | None = None) -> LiveState:
    running = LiveStage(title="plant badnets", done=1, total=2, loss=0.5)
    vectors = LiveGroup(kind="vector", states={"waiting": 4})
    models = LiveGroup(
        kind="infected-model", title="plant badnets", states={"running": 1}, running=(running,), below=(vectors,)
    )
    corpus = LiveGroup(kind="corpus", title="corpus of 400 scenes", states={"done": 1}, below=(models,))
    return LiveState(written=time.time(), trials=4, ended=ended, stages=9, graph=(corpus,), left=left)


def test_what_is_written_is_read_on_another_machine(tmp_path: Path) -> None:
    told = state(2, 90.0)
    Announcement(Store(str(tmp_path)), FOLDER, "share-1-of-2").write(told)
    wait_until(lambda: live_states(Store(str(tmp_path)), FOLDER) == {"share-1-of-2": told})
    assert told.counts == {"done": 1, "running": 1, "waiting": 4}


def test_it_is_written_now_and_then_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    announcement = Announcement(store, FOLDER, "whole")
    assert announcement.due
    announcement.write(state(1))
    wait_until(lambda: bool(live_states(store, FOLDER)))
    assert not announcement.due
    announcement.write(state(2))
    monkeypatch.setattr(live, "EVERY", 0.0)

    def third_is_there() -> bool:
        found = live_states(store, FOLDER)["whole"].ended
        assert found in (1, 3), "the second came too early"
        announcement.write(state(3))  # the first may be being written
        return found == 3

    wait_until(third_is_there)
    announcement.remove()
    assert live_states(store, FOLDER) == {}


def test_a_store_that_takes_its_time_lets_nobody_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers, store = Event(), Store(str(tmp_path))
    monkeypatch.setattr(live, "EVERY", 0.0)
    monkeypatch.setattr(Store, "write_json", lambda *_: answers.wait(60))
    announcement = Announcement(store, FOLDER, "whole")
    for number in range(3):
        announcement.write(state(number))
    assert not answers.is_set()
    answers.set()
    announcement.remove()


def test_a_file_that_is_half_there_is_left_out(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    store.write_json(f"{FOLDER}/live/whole.json", {"trials": 3})
    assert live_states(store, FOLDER) == {}


def test_a_store_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "campaigns").write_text("a file where a folder should be")
    announcement = Announcement(Store(str(tmp_path)), FOLDER, "whole")
    announcement.write(state())
    announcement.remove()


LOST = LostAttempt(title="plant badnets", cause="process", seconds=60, wasted=20, cpus=1, gpus=0)


def test_what_was_lost_is_written_down_once_the_store_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(str(tmp_path))
    announcement, refused = Announcement(store, FOLDER, "whole"), Event()

    def away(*_: object) -> None:
        refused.set()
        raise StoreError("away")

    with monkeypatch.context() as patched:
        patched.setattr(live, "note_lost", away)
        announcement.lose([LOST])
        assert refused.wait(60)
    announcement.write(state())
    wait_until(lambda: lost_attempts_of(store, FOLDER) == [LOST])
    announcement.remove()
    assert lost_attempts_of(store, FOLDER) == [LOST]


def test_what_a_killed_launch_had_at_stake_is_lost(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    killed, other = state().model_copy(update={"at_stake": (LOST,)}), state()
    store.write_json(f"{FOLDER}/live/whole.json", killed.model_dump(mode="json"))
    store.write_json(f"{FOLDER}/live/share-1-of-2.json", other.model_dump(mode="json"))
    for _ in range(2):
        note_killed(store, FOLDER, "whole")
        assert lost_attempts_of(store, FOLDER) == [LOST]
        assert live_states(store, FOLDER) == {"share-1-of-2": other}

"""One launch of a campaign at a time."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.store import lease
from tbar_ray.store.lease import FILE, Lease, running_campaigns
from tbar_ray.store.store import Store

FOLDER = "campaigns/demo/0123"
PATH = f"{FOLDER}/{FILE}"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def test_a_second_launch_is_told_who_runs_the_campaign(store: Store) -> None:
    with Lease(store, FOLDER):
        assert running_campaigns(store) == ["demo/0123"]
        with (
            pytest.raises(StoreError, match=r"campaigns/demo/0123 is being run by process \d+ on .* --force$"),
            Lease(store, FOLDER),
        ):
            pass
        with Lease(store, "campaigns/demo/4567"):
            assert len(running_campaigns(store)) == 2
    assert running_campaigns(store) == []
    with Lease(store, FOLDER):
        pass


def test_of_many_at_once_one_gets_it(store: Store) -> None:
    ready, done = threading.Barrier(6), threading.Event()
    got: list[int] = []

    def launch(number: int) -> None:
        ready.wait()
        try:
            with Lease(store, FOLDER):
                got.append(number)
                done.wait(20)
        except StoreError:
            pass

    with ThreadPoolExecutor(6) as pool:
        launches = [pool.submit(launch, number) for number in range(6)]
        while sum(one.done() for one in launches) < 5:
            time.sleep(0.01)
        done.set()
    assert len(got) == 1


KILLED = """
import os, signal, sys
from tbar_ray.store.lease import Lease
from tbar_ray.store.store import Store
Lease(Store(sys.argv[1]), sys.argv[2]).__enter__()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_launch_holds_nothing(store: Store) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, store.url, FOLDER], check=False, timeout=60)
    assert ended.returncode == -9
    assert store.exists(PATH)
    assert running_campaigns(store) == []
    with Lease(store, FOLDER):
        assert running_campaigns(store) == ["demo/0123"]


def test_a_forced_launch_takes_it_and_the_other_learns_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.5)
    lost = threading.Event()
    with Lease(store, FOLDER, on_lost=lost.set):
        with Lease(store, FOLDER, force=True):
            assert lost.wait(20)
        assert not store.exists(PATH)


@pytest.mark.parametrize(("beats", "alive"), [(True, True), (False, False)])
def test_a_launch_on_another_machine_is_watched(
    store: Store, monkeypatch: pytest.MonkeyPatch, beats: bool, alive: bool
) -> None:
    """Its clock may be wrong by hours: what counts is whether it gives a sign."""
    held = {"machine": "another", "pid": 1, "token": "theirs", "beat": time.time() - 7200}
    store.write_json(PATH, held)
    waited = list[float]()

    def watched(seconds: float) -> None:
        waited.append(seconds)
        if beats:
            store.write_json(PATH, {**held, "beat": held["beat"] + 5})

    monkeypatch.setattr(lease, "time", SimpleNamespace(sleep=watched, time=time.time))
    assert bool(running_campaigns(store)) is alive
    assert waited == [lease.WATCHED]
    assert lease.WATCHED > 2 * lease.BEAT


@pytest.mark.parametrize("content", ["", "{", "null", "[]", '"mine"', "{}"])
def test_a_lease_that_cannot_be_read_is_taken_over_by_force_alone(store: Store, content: str) -> None:
    with Lease(store, FOLDER):
        pass
    path = Path(store.url) / PATH
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    with pytest.raises(StoreError) as refused, Lease(store, FOLDER):
        pass
    assert re.search(r"campaigns/demo/0123/lease\.json cannot be read, .* --force$", str(refused.value))
    assert path.read_text() == content
    with Lease(store, FOLDER, force=True):
        assert running_campaigns(store) == ["demo/0123"]


def test_a_launch_on_another_machine_that_gave_a_sign_just_now_runs(store: Store) -> None:
    store.write_json(PATH, {"machine": "another", "pid": 1, "token": "theirs", "beat": time.time()})
    with pytest.raises(StoreError, match="is being run"), Lease(store, FOLDER):
        pass


def test_shares_of_one_division_are_run_at_a_time(store: Store) -> None:
    with Lease(store, FOLDER, share=(1, 2)), Lease(store, FOLDER, share=(2, 2)):
        assert running_campaigns(store) == ["demo/0123"]
        with (
            pytest.raises(StoreError, match=r"share 2/2 of campaigns/demo/0123 is being run by process \d+"),
            Lease(store, FOLDER, share=(2, 2)),
        ):
            pass
    assert running_campaigns(store) == []
    assert store.list_folder(FOLDER) == []


@pytest.mark.parametrize(
    ("held", "wanted"), [((1, 2), None), (None, (1, 2)), ((1, 2), (3, 4))], ids=["whole", "share", "other division"]
)
def test_launches_that_have_trials_in_common_refuse_each_other(
    store: Store, monkeypatch: pytest.MonkeyPatch, held: tuple[int, int] | None, wanted: tuple[int, int] | None
) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.5)
    lost = threading.Event()
    with Lease(store, FOLDER, share=held, on_lost=lost.set):
        before = store.list_folder(FOLDER)
        with pytest.raises(StoreError, match="is being run"), Lease(store, FOLDER, share=wanted):
            pass
        assert store.list_folder(FOLDER) == before
        assert not lost.is_set()
        with Lease(store, FOLDER, share=wanted, force=True):
            assert lost.wait(20)


def test_a_share_whose_launch_was_killed_does_not_keep_a_whole_campaign_waiting(store: Store) -> None:
    killed = KILLED.replace("sys.argv[2])", "sys.argv[2], share=(1, 2))")
    subprocess.run([sys.executable, "-c", killed, store.url, FOLDER], check=False, timeout=60)
    assert store.list_folder(FOLDER) == ["lease-1-of-2.json"]
    with Lease(store, FOLDER):
        assert store.list_folder(FOLDER) == [FILE]

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tbar_ray.store import claim
from tbar_ray.store.claim import ClaimedError, Rival, claimed, path_of
from tbar_ray.store.lease import process_identity
from tbar_ray.store.store import Store
from tests.waiting import wait_until

ELSEWHERE = {"machine": "another", "host": "other-host", "pid": 1, "born": 0.0, "token": "theirs"}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def test_of_two_processes_one_holds_it_and_gives_it_back(store: Store) -> None:
    with claimed(store, "corpus-1"):
        assert store.read_json(path_of("corpus-1"))["pid"] == os.getpid()
        with pytest.raises(ClaimedError), claimed(store, "corpus-1"):
            pass
        with claimed(store, "corpus-2"):
            pass
    with claimed(store, "corpus-1"):
        pass
    assert not store.exists(path_of("corpus-1"))


def test_a_failure_gives_it_back(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), claimed(store, "corpus-1"):
        raise ZeroDivisionError
    assert not store.exists(path_of("corpus-1"))


def test_that_of_a_process_that_was_killed_here_is_taken_at_once(store: Store) -> None:
    script = (
        "import os, sys; from tbar_ray.store.claim import claimed; from tbar_ray.store.store import Store\n"
        "with claimed(Store(sys.argv[1]), 'corpus-1'): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", script, store.url], check=False)
    assert store.exists(path_of("corpus-1"))
    with claimed(store, "corpus-1"):
        assert store.read_json(path_of("corpus-1"))["pid"] == os.getpid()


def test_a_rival_elsewhere_lives_as_long_as_it_gives_signs(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "GONE", 0.2)
    store.write_json(path_of("corpus-1"), ELSEWHERE)
    rival = Rival(store, "corpus-1")
    for beat in range(4):
        assert rival.lives()
        assert rival.host == "other-host"
        time.sleep(0.1)
        store.write_json(path_of("corpus-1"), {**ELSEWHERE, "beat": beat})
    assert rival.lives()
    time.sleep(0.3)
    assert not rival.lives()
    assert not store.exists(path_of("corpus-1"))
    with claimed(store, "corpus-1"):
        pass


def test_a_holder_gives_signs_until_it_was_taken_for_dead(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "BEAT", 0.05)
    with claimed(store, "corpus-1"):
        seen = set()

        def gives_signs() -> bool:
            seen.add(store.read_json(path_of("corpus-1")).get("beat"))
            return len(seen) > 2

        def is_let_go() -> bool:
            store.write_json(path_of("corpus-1"), ELSEWHERE)
            time.sleep(0.2)
            return bool(store.read_json(path_of("corpus-1")) == ELSEWHERE)

        wait_until(gives_signs)
        assert any(is_let_go() for _ in range(5)), "but for one sign that was on its way"
    assert store.read_json(path_of("corpus-1")) == ELSEWHERE, "another's claim stays"


def test_of_many_threads_one_at_a_time_holds_it(store: Store) -> None:
    inside, most, refused = [0], [0], [0]

    def work() -> None:
        for _ in range(10):
            try:
                with claimed(store, "corpus-1"):
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                    time.sleep(0.001)
                    inside[0] -= 1
            except ClaimedError:
                refused[0] += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert refused[0] > 0
    assert process_identity()["pid"] == os.getpid()

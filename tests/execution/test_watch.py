from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tbar_ray.execution import watch
from tbar_ray.execution.watch import ClusterWatch

SOON = 5.0
"""Seconds in which a watch has to notice, at the intervals of these tests."""


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look often, and have no head unless a test has one."""
    monkeypatch.setattr(watch, "INTERVAL", 0.02)
    monkeypatch.setattr(watch.ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address=""))


@contextmanager
def head(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[socket.socket, int]]:
    """Something that listens where the head would; yield it and its port."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        port = listening.getsockname()[1]
        monkeypatch.setattr(watch.ray, "get_runtime_context", lambda: SimpleNamespace(gcs_address=f"127.0.0.1:{port}"))
        yield listening, port


@contextmanager
def raylet(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A child process of a raylet's name."""
    shutil.copy(shutil.which("sleep") or "", folder / watch.RAYLET)
    with subprocess.Popen([folder / watch.RAYLET, "60"]) as process:
        try:
            yield process
        finally:
            process.kill()


def noticed(told: list[str], by: threading.Event) -> list[str]:
    assert by.wait(SOON)
    return told


def test_a_head_that_ends_is_told_once_with_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    lost = threading.Event()
    with head(monkeypatch) as (listening, port), ClusterWatch(lambda what: (told.append(what), lost.set())[1]):
        assert not lost.wait(0.2)
        listening.close()
        expected = [f"the head of the Ray cluster at 127.0.0.1:{port} has ended"]
        assert noticed(told, lost) == expected
    assert told == expected


def test_a_raylet_of_this_process_that_ends_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    lost = threading.Event()
    with raylet(tmp_path) as process, ClusterWatch(lambda what: (told.append(what), lost.set())[1]):
        assert not lost.wait(0.2)
        process.kill()
        assert noticed(told, lost) == ["Ray's process on this machine (the raylet) has ended"]


def test_a_head_that_is_missed_for_a_moment_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([False] * (watch.LOOKS - 1) + [True] + [False] * (watch.LOOKS - 1))
    told: list[str] = []
    done = threading.Event()

    def accepts(host: str, port: int, seconds: float) -> bool:
        answer = next(answers, None)
        if answer is None:
            done.set()
        return answer is not False

    monkeypatch.setattr(watch, "accepts", accepts)
    with head(monkeypatch), ClusterWatch(told.append):
        assert done.wait(SOON)
    assert told == []


def test_a_watch_that_is_closed_ends_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    with head(monkeypatch) as (listening, _):
        told: list[str] = []
        with ClusterWatch(told.append):
            pass
        listening.close()
        assert "cluster watch" not in [thread.name for thread in threading.enumerate()]
        assert told == []

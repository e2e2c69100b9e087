"""Temporary folders, and those that killed processes left."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tbar_ray.store import temporary as module
from tbar_ray.store.lease import runs_here
from tbar_ray.store.scratch import remove_abandoned_scratch
from tbar_ray.store.temporary import (
    end,
    own_folders,
    processes_of,
    remove_abandoned,
    short_place,
    temporary,
    temporary_folder,
)
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(module, "SHORT", tmp_path / "short")


def test_a_folder_is_there_for_a_while() -> None:
    with temporary("trial") as folder:
        (folder / "file").write_text("here")
    assert not folder.exists()


LEFT = """
import os, psutil, subprocess, sys, tempfile
tempfile.tempdir = sys.argv[1]
from tbar_ray.store.temporary import MARK, temporary_folder
folder = temporary_folder("ray")
child = subprocess.Popen(["sleep", "600"], env={**os.environ, MARK: str(folder)}, stdout=-3, stderr=-3)
while MARK not in psutil.Process(child.pid).environ():  # for a moment a new program has no environment yet
    pass
print(folder, child.pid, flush=True)
if "lives" in sys.argv:
    sys.stdin.read()
"""


def test_what_a_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-c", LEFT, str(tmp_path)], check=True, capture_output=True, text=True, timeout=60
    )
    left, orphan = told.stdout.split()
    own = temporary_folder("trial")
    others = [tmp_path / name for name in ("tbar-artifacts-0", "tbar-word-word-word", "else")]
    for other in others:
        other.mkdir()
    assert Path(left).is_dir()
    assert psutil.pid_exists(int(orphan))
    assert remove_abandoned() == 1
    assert sorted(tmp_path.iterdir()) == sorted([own, *others])
    assert not psutil.pid_exists(int(orphan)) or psutil.Process(int(orphan)).status() == psutil.STATUS_ZOMBIE


def test_a_dead_process_that_keeps_its_number_has_nothing(tmp_path: Path) -> None:
    maker = subprocess.Popen(["true"])  # not waited for, as where a container's init takes no notice of the dead
    process = psutil.Process(maker.pid)
    wait_until(lambda: process.status() == psutil.STATUS_ZOMBIE)
    (tmp_path / f"tbar-trial-{maker.pid}-abc").mkdir()
    (tmp_path / "tmp" / f"{socket.gethostname()}-{maker.pid}-abc").mkdir(parents=True)
    assert remove_abandoned() == 1
    assert remove_abandoned_scratch(tmp_path / "tmp") == 1
    assert not runs_here(maker.pid, process.create_time())
    assert runs_here(os.getpid(), psutil.Process().create_time())
    maker.wait()


def test_what_a_living_process_has_is_left_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEFT, str(tmp_path), "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as living:
        assert living.stdout is not None
        folder, child = living.stdout.readline().split()
        assert remove_abandoned() == 0
        assert Path(folder).is_dir()
        assert [process.pid for process in processes_of([Path(folder)])] == [int(child)]
        living.kill()
        living.wait()
        assert remove_abandoned() == 1
        assert not Path(folder).exists()


def test_a_dead_process_of_which_its_parent_takes_no_notice_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDING", 60.0)
    command = [sys.executable, "-c", LEFT, str(tmp_path), "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, child = parent.stdout.readline().split()
        began = time.monotonic()
        end(Path(folder))
        assert time.monotonic() - began < module.ENDING / 2
        assert psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE
        parent.kill()


def test_a_process_that_has_the_number_of_one_seen_before_is_ended_as_well(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LEFT, str(tmp_path), "lives"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, child = parent.stdout.readline().split()
        for seen in psutil.process_iter():  # what it yields is remembered, and yielded again for the same number
            if seen.pid == int(child):
                seen._ident = (seen.pid, 0.0)
                assert not seen.is_running()
        end(Path(folder))
        assert psutil.Process(int(child)).status() == psutil.STATUS_ZOMBIE
        parent.kill()


def test_a_process_knows_its_own_folders(tmp_path: Path) -> None:
    own = temporary_folder("trial")
    (tmp_path / "tbar-trial-1-abc").mkdir()
    assert own_folders() == [own]


def test_a_path_that_is_too_long_is_replaced_by_a_short_one_that_is_swept_as_well(tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    assert short_place(len(str(tmp_path))) == tmp_path
    assert short_place(len(str(tmp_path)) - 1) == tmp_path / "short"
    folder = temporary_folder("ray", short_place(1))
    assert folder.parent == tmp_path / "short"
    assert own_folders() == [folder]

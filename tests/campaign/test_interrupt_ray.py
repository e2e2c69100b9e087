"""Stopping a campaign as a person, or a scheduler, stops it: by signals to a real process; and what is left of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tbar_ray.store.commit import COMMIT
from tests.campaign.tiny import (
    LONGEST,
    end_of,
    marked,
    parent_status,
    read_until,
    start,
    temporary_folders_of,
    wait_until_gone,
    write_tiny,
)

pytestmark = [pytest.mark.ray, pytest.mark.timeout(1800)]

SIZES = list(range(8, 14))
"""Enough trials that some are left when a campaign has been stopped twice, each time after the first one's end."""
AGAIN = "run the same command again to continue"


def commits(home: Path) -> dict[str, float]:
    return {f.parent.name: f.stat().st_mtime for f in (home / "store" / "artifacts").glob(f"*/{COMMIT}")}


def statuses(home: Path) -> list[str]:
    """Return those of the trials in the report."""
    return [row["status"] for row in json.loads((home / "reports" / "demo" / "latest" / "results.json").read_text())]


def wait_for(running: subprocess.Popen[str], met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST
    while not met():
        assert running.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def has_raylet(running: subprocess.Popen[str]) -> bool:
    return any(child.name() == "raylet" for child in psutil.Process(running.pid).children())


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param([signal.SIGINT, signal.SIGINT], id="twice SIGINT"),
        pytest.param([signal.SIGTERM], id="SIGTERM", marks=pytest.mark.slow),  # the same way through the driver
        pytest.param([signal.SIGHUP], id="SIGHUP", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_campaign_leaves_nothing_writes_its_report_if_it_may_and_goes_on_where_it_was(
    tmp_path: Path, numbers: list[signal.Signals], mark: str
) -> None:
    spec_file = write_tiny(tmp_path, SIZES)
    running = start(spec_file, tmp_path, mark)
    shown = read_until(running, "trial 1/")
    assert len(marked(mark)) > 2, shown  # Ray's own processes carry the mark as well
    for number in numbers:
        os.killpg(running.pid, number)  # as a terminal does
        if number == signal.SIGINT:
            shown += read_until(running, "stopping")
    shown += end_of(running)
    assert running.returncode == 130, shown
    assert "Traceback" not in shown
    assert f"stopping now; {AGAIN}" in shown
    if len(numbers) == 2:
        assert shown.index("stopping after the running stages; again to stop now") < shown.index("stopping now")
    assert parent_status(tmp_path) == "KILLED"
    wait_until_gone(mark)
    assert temporary_folders_of(running.pid) == []

    before = commits(tmp_path)
    assert before
    gently = start(spec_file, tmp_path, mark)
    shown = read_until(gently, "trial ")
    os.killpg(gently.pid, signal.SIGINT)
    shown += end_of(gently)
    assert gently.returncode == 130, shown
    assert "Traceback" not in shown
    assert f"interrupted: {AGAIN}" in shown
    assert parent_status(tmp_path) == "KILLED"
    between = commits(tmp_path)
    assert before.items() < between.items()
    assert 2 <= len(statuses(tmp_path)) < len(SIZES), "the running stages have ended, and no others were started"
    wait_until_gone(mark)

    last = start(spec_file, tmp_path, mark)
    shown = end_of(last)
    assert last.returncode == 0, shown
    assert "Traceback" not in shown
    assert between.items() < commits(tmp_path).items()
    assert statuses(tmp_path) == ["done"] * len(SIZES)
    assert not list((tmp_path / "store" / "tmp").iterdir())
    assert parent_status(tmp_path) == "FINISHED"
    assert temporary_folders_of(last.pid) == []


@pytest.mark.parametrize(
    "number",
    [pytest.param(signal.SIGINT, id="SIGINT"), pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow)],
)
def test_while_ray_starts_a_campaign_is_stopped_as_well(tmp_path: Path, number: signal.Signals, mark: str) -> None:
    running = start(write_tiny(tmp_path, SIZES), tmp_path, mark)
    wait_for(running, lambda: has_raylet(running))
    os.killpg(running.pid, number)
    shown = end_of(running)
    assert running.returncode in (130, -signal.SIGALRM), shown
    assert f"stopping now; {AGAIN}" in shown.splitlines()
    assert parent_status(tmp_path) in (None, "KILLED")
    wait_until_gone(mark)


@pytest.mark.slow
def test_while_the_report_is_written_a_campaign_is_stopped_as_well(tmp_path: Path, mark: str) -> None:
    running = start(write_tiny(tmp_path, SIZES[:1]), tmp_path, mark)
    wait_for(running, lambda: any((tmp_path / "reports").rglob("*.*")))
    running.send_signal(signal.SIGTERM)  # which Ray gives back to the system when it ends
    shown = end_of(running)
    assert running.returncode == 130, shown
    assert "Traceback" not in shown
    assert f"stopping now; {AGAIN}" in shown
    assert parent_status(tmp_path) == "KILLED"
    wait_until_gone(mark)


@pytest.mark.slow
def test_what_a_killed_launch_left_is_swept_by_the_next_and_a_living_ones_is_not(tmp_path: Path, mark: str) -> None:
    several, one = tmp_path / "several", tmp_path / "one"
    several.mkdir()
    one.mkdir()
    killed = start(write_tiny(several, SIZES), tmp_path, mark)
    read_until(killed, "trial 1/")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    left = temporary_folders_of(killed.pid)
    assert {"ray", "tune"} <= {folder.name.split("-")[1] for folder in left}
    (scratch,) = [made(tmp_path / "store" / "tmp", killed.pid)]

    living = start(several / "spec.yaml", tmp_path, mark, "--set", "model.training.epochs=2000")
    read_until(living, "running: clean")
    assert not any(folder.exists() for folder in [*left, scratch])
    its_own, its_scratch = temporary_folders_of(living.pid), list((tmp_path / "store" / "tmp").iterdir())
    assert its_scratch
    other = start(write_tiny(one, SIZES[:1]), tmp_path, mark)  # all of it is in the store
    shown = end_of(other)
    assert other.returncode == 0, shown
    assert [folder for folder in its_own if not folder.exists()] == []
    assert [folder for folder in its_scratch if not folder.exists()] == []
    assert has_raylet(living)
    living.send_signal(signal.SIGTERM)
    shown = end_of(living)
    assert living.returncode == 130, shown
    wait_until_gone(mark)


def made(parent: Path, process: int) -> Path:
    """Make what a stage of a process leaves in the store when it is killed."""
    folder = parent / f"{os.uname().nodename}-{process}-0badcafe"
    folder.mkdir(parents=True, exist_ok=True)
    return folder

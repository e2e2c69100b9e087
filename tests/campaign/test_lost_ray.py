"""A local Ray that loses a process of its own under a campaign: one line and closed runs, or the campaign goes on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from subprocess import Popen

import psutil
import pytest

from tests.campaign.tiny import (
    end_of,
    parent_status,
    read_until,
    start,
    temporary_folders_of,
    wait_until_gone,
    write_tiny,
)

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

SIZES = list(range(8, 14))


def kill_child(running: Popen[str], name: str) -> int:
    """Kill the processes of that name below a campaign's; return how many there were."""
    killed = 0
    for child in psutil.Process(running.pid).children(recursive=True):
        with suppress(psutil.Error):
            if child.name() == name or "".join(child.cmdline()[:1]).startswith(name):
                child.kill()
                killed += 1
    return killed


@pytest.mark.parametrize(
    ("name", "said"),
    [("raylet", "Ray's process on this machine (the raylet) has ended"), ("gcs_server", "the head of the Ray cluster")],
)
def test_a_campaign_whose_ray_is_lost_ends_with_one_line_and_goes_on_when_run_again(
    tmp_path: Path, mark: str, name: str, said: str
) -> None:
    spec_file = write_tiny(tmp_path, SIZES)
    running = start(spec_file, tmp_path, mark)
    shown = read_until(running, "trial 1/")
    assert kill_child(running, name) == 1, shown
    shown += end_of(running)
    assert running.returncode == 2, shown
    errors = [line for line in shown.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, shown
    assert errors[0].startswith(f"error: {said}")
    assert errors[0].endswith("is safe: run the same command again to continue")
    assert "Traceback" not in shown
    assert parent_status(tmp_path) == "FAILED"
    wait_until_gone(mark)
    assert temporary_folders_of(running.pid) == []

    again = start(spec_file, tmp_path, mark)
    shown = end_of(again)
    assert again.returncode == 0, shown
    assert parent_status(tmp_path) == "FINISHED"


def test_a_coordinator_that_is_lost_is_started_anew_and_all_trials_end(tmp_path: Path, mark: str) -> None:
    running = start(write_tiny(tmp_path, SIZES), tmp_path, mark)
    shown = read_until(running, "trial 1/")
    assert kill_child(running, "ray::Coordinator") == 1, shown
    shown += end_of(running)
    assert running.returncode == 0, shown
    assert "Traceback" not in shown
    assert "the coordinator of stages was restarted" in shown
    assert f"{len(SIZES)} trials in" in shown
    assert parent_status(tmp_path) == "FINISHED"

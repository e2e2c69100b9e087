"""loopback.sh beside another Ray, with a `ray` that only notes how it is called."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ports import free_port

SCRIPT = Path(__file__).parents[2] / "clusters" / "loopback.sh"
AGENT = 52365
"""Port of the dashboard's agent on the first Ray of a machine."""
SOON = 60.0
"""Seconds that the script may take on a busy machine."""
RAY = """#!/bin/sh
echo "$@" >>"$CALLS"
case $1 in
start) exec sleep 600 ;;
job) test -e "$JOBS_RUN" ;;
esac
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The script, while something listens where the agent would."""
    (tmp_path / "ray").write_text(RAY)
    (tmp_path / "ray").chmod(0o755)
    (tmp_path / "clusters").mkdir()
    script = shutil.copy(SCRIPT, tmp_path / "clusters")  # where there is no environment with a `ray` of its own
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TBAR_"))}
    environment |= {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "CALLS": str(tmp_path / "calls"),
        "JOBS_RUN": str(tmp_path / "jobs run"),
        "TBAR_RAY_PORT": str(free_port()),
        "TBAR_RAY_DASHBOARD_PORT": str(free_port()),
    }
    with contextlib.ExitStack() as other:
        with contextlib.suppress(OSError):  # another Ray of this machine has it already
            other.enter_context(socket.create_server(("127.0.0.1", AGENT), backlog=100))
        process = subprocess.Popen(
            [str(script)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def calls(folder: Path, least: int) -> list[list[str]]:
    """How `ray` was called, once it was at least some times."""
    deadline = time.monotonic() + SOON
    while True:
        told = (folder / "calls").read_text().splitlines() if (folder / "calls").exists() else []
        if len(told) >= least:
            return [line.split() for line in told]
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_its_agent_has_a_port_of_its_own_and_it_is_ready_once_a_job_has_run(
    running: subprocess.Popen[str], tmp_path: Path
) -> None:
    assert running.stdout is not None
    start, *jobs = sorted(calls(tmp_path, 3), key=lambda words: words[0] != "start")
    (port,) = [int(word.partition("=")[2]) for word in start if word.startswith("--dashboard-agent-listen-port=")]
    assert port != AGENT
    assert all(job[:2] == ["job", "submit"] for job in jobs)
    os.set_blocking(running.stdout.fileno(), False)
    assert "Ready" not in (running.stdout.read() or "")
    os.set_blocking(running.stdout.fileno(), True)
    (tmp_path / "jobs run").touch()
    shown = ""
    while "Ready" not in shown:
        line = running.stdout.readline()
        assert line, shown
        shown += line

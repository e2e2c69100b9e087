"""A campaign as a job of a Ray cluster that `clusters/loopback.sh` starts: submitted, stopped, submitted again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Timer

import pytest

from tests.campaign.tiny import parent_status, read_until, write_tiny
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
SIZES = list(range(8, 48))
STARTS = 3
LONGEST = 900
"""Seconds that a part of the test may take on a busy machine."""


class Head:
    """A one-machine cluster, and the environment of who submits to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dashboard = free_port()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "TBAR_"))}
        environment.pop("PYTHONPATH", None)  # the package has to come from what is submitted
        environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
        environment["XDG_RUNTIME_DIR"] = str(folder)
        ports = {
            "TBAR_RAY_PATIENCE": str(LONGEST),
            "TBAR_RAY_PORT": str(free_port()),
            "TBAR_RAY_DASHBOARD_PORT": str(dashboard),
        }
        options = ["--num-cpus=2", "--object-store-memory=200000000", f"--temp-dir={folder / 'ray'}"]
        self.process = subprocess.Popen(
            [str(ROOT / "clusters" / "loopback.sh"), *options],
            env={**environment, **ports},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.environment = {
            **environment,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(folder / "tbar-ray-loopback" / "token"),
            "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
        }

    def job(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ray", "job", *words],
            env=self.environment,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=LONGEST,
        )

    def submit(self, name: str, home: Path, *words: str, wait: bool = True) -> subprocess.CompletedProcess[str]:
        environment = json.dumps({"env_vars": {"TBAR_HOME": str(home)}})
        options = ["--submission-id", name, "--working-dir", str(ROOT), "--runtime-env-json", environment]
        return self.job("submit", *options, *([] if wait else ["--no-wait"]), "--", *words)

    def log(self, name: str) -> str:
        file = self.folder / "ray" / "session_latest" / "logs" / f"job-driver-{name}.log"
        return file.read_text() if file.exists() else ""

    def is_ready(self) -> bool:
        """Wait until jobs can be submitted; False if Ray took too long to start, which a busy machine makes it do."""
        watchdog = Timer(LONGEST, self.process.kill)
        watchdog.start()
        shown = read_until(self.process, "Ready.")
        watchdog.cancel()
        assert "Ready." in shown or "timed out during startup" in shown, shown
        return "Ready." in shown

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)  # a shell in the background ignores SIGINT
        try:
            self.process.communicate(timeout=LONGEST)
        finally:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)


@pytest.fixture
def head() -> Iterator[Head]:
    for _ in range(STARTS):
        started = Head(Path(tempfile.mkdtemp(prefix="head-", dir="/tmp")))  # short: Ray's sockets lie there
        try:
            if started.is_ready():
                yield started
                return
        finally:
            started.stop()
    pytest.fail(f"Ray has not started {STARTS} times")


def test_a_job_that_is_stopped_ends_killed_and_a_second_one_goes_on(head: Head, tmp_path: Path) -> None:
    spec_file = write_tiny(tmp_path, SIZES)
    command = ("tbar", "campaign", "run", str(spec_file))
    told = head.submit("first", tmp_path, *command, wait=False)
    assert told.returncode == 0, told.stdout
    deadline = time.monotonic() + LONGEST
    while "  trial 1/" not in head.log("first"):  # after the time
        assert time.monotonic() < deadline, head.log("first")
        time.sleep(0.2)
    stopped = head.job("stop", "first")
    assert "was stopped" in stopped.stdout, stopped.stdout
    log = head.log("first")
    assert "stopping now; run the same command again to continue" in log
    assert "Traceback" not in log
    assert parent_status(tmp_path) == "KILLED"

    again = head.submit("second", tmp_path, *command)
    assert again.returncode == 0, again.stdout
    assert f"of {len(SIZES)} trials are in the store" in again.stdout
    assert parent_status(tmp_path) == "FINISHED"
    rows = json.loads((tmp_path / "reports" / "demo" / "latest" / "results.json").read_text())
    assert [row["status"] for row in rows] == ["done"] * len(SIZES)

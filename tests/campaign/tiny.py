"""A campaign that is as small as it gets, run as a process of its own whose processes can be found."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from threading import Timer
from typing import Any

import psutil

from tbar_ray.store.temporary import processes_with
from tests.specs import write

TRAINING = {"epochs": 1, "batch_size": 16, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
PROGRAM = """
from tbar_ray.campaign import stopping
from tbar_ray.cli.main import main
from tbar_ray.report import files

files._figures = lambda *_: {}
stopping.SOON = stopping.SOONER = stopping.TIDYING = 30.0
main()
"""
"""The command, whose report has no pictures: drawing them takes seconds. It may take its time to stop: guards."""
MARK = "TBAR_TEST_MARK"
LONGEST = 600
"""Seconds that a campaign may take on a busy machine."""
PATIENCE = 60
"""Seconds within which a process that was ended has to be gone; a guard, not a measurement."""


def tiny_settings(sizes: Sequence[int], training: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Settings with a trial for each forget-set size, one at a time; clean and infected model are trained alike."""
    return {
        "data": {"synthetic": {"samples": 96, "size": 64, "per_class": 2, "samples_per_shard": 96}},
        "model": {"architecture": "tbar-RN-pico", "training": training},
        "poison": {"count": 8, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": training},
        "forget": {"size": 8},
        "alpha": [0, 1],
        "evaluation": {"min_retention": 0},
        "unlearning": {"method": "tbar", "parameters": {"steps": 1, "batch_size": 8}},
        "search": {"axes": {"attack": ["badnets"], "forget_size": list(sizes)}, "concurrency": 1},
        **changes,
    }


def write_tiny(folder: Path, sizes: Sequence[int], **changes: Any) -> Path:
    """Write a spec of such settings."""
    resources = {"training_cpus": 1, "readers": 1, "max_cpus": 1}  # a second process of stages takes seconds
    return write(folder, **tiny_settings(sizes, TRAINING, **{"resources": resources, **changes}))


def start(spec_file: Path, home: Path, mark: str, *words: str) -> subprocess.Popen[str]:
    """Start `tbar campaign run` with its own Ray; all its processes carry `mark` in their environment."""
    environment = {**os.environ, "TBAR_HOME": str(home), MARK: mark}
    own = () if "--address" in words else ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")  # of its local Ray, which it sets
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI", *own):
        environment.pop(name, None)
    fast = ("--no-sheets", "--no-log-models")
    return subprocess.Popen(
        [sys.executable, "-u", "-c", PROGRAM, "campaign", "run", str(spec_file), *fast, *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def read_until(running: subprocess.Popen[str], beginning: str) -> str:
    """Return what a process says up to the first line that begins like that, with or without the time."""
    assert running.stdout is not None
    shown = ""
    for line in running.stdout:
        shown += line
        if re.sub(r"^\d\d:\d\d:\d\d  ", "", line).startswith(beginning):
            break
    return shown


def end_of(running: subprocess.Popen[str]) -> str:
    """Wait for a process, and return what it still says."""
    watchdog = Timer(LONGEST, running.kill)
    watchdog.start()
    try:
        return running.communicate()[0]
    finally:
        watchdog.cancel()


def marked(mark: str) -> list[str]:
    """Return the command lines of the living processes that carry a mark."""
    found = []
    for process in processes_with(MARK, [mark]):
        with suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
    return found


def kill_marked(mark: str) -> None:
    """Kill the processes that carry a mark."""
    for process in processes_with(MARK, [mark]):
        with suppress(psutil.Error):
            process.kill()


def wait_until_gone(mark: str) -> None:
    """Wait until no process carries a mark."""
    deadline = time.monotonic() + PATIENCE
    while left := marked(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def temporary_folders_of(process: int) -> list[Path]:
    """Return the temporary folders of a process."""
    return sorted(Path("/tmp").glob(f"tbar-*-{process}-*"))


def parent_status(home: Path) -> str | None:
    """Return the status of the campaign's run in MLflow; None if there is no such run."""
    if not (home / "mlflow.db").exists():
        return None
    with closing(sqlite3.connect(home / "mlflow.db", timeout=20)) as database:
        try:
            rows = database.execute(
                "SELECT status FROM runs JOIN tags USING (run_uuid) WHERE key = 'tbar.kind' AND value = 'campaign'"
            ).fetchall()
        except sqlite3.OperationalError:  # the tables are not there yet
            return None
    return str(rows[0][0]) if rows else None

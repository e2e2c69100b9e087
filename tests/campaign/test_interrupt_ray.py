"""Stopping a campaign as a person, or a scheduler, stops it: by a signal to a real process."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from contextlib import closing
from pathlib import Path
from threading import Timer

import psutil
import pytest

from tbar_ray.store.commit import COMMIT
from tests.specs import write

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]

TRAINING = {"epochs": 1, "batch_size": 16, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
MARK = "TBAR_TEST_MARK"
TRIALS = 12
PATIENCE = 30
"""Seconds within which a campaign has to stop."""


@pytest.fixture(scope="module")
def spec_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(
        tmp_path_factory.mktemp("interrupt"),
        data={"synthetic": {"samples": 96, "size": 64, "per_class": 2, "samples_per_shard": 96}},
        model={"architecture": "tbar-RN-pico", "training": TRAINING},
        poison={"count": 8, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": TRAINING},
        forget={"size": 8},
        alpha=[0, 1],
        evaluation={"min_retention": 0},
        unlearning={"method": "tbar", "parameters": {"steps": 1, "batch_size": 8}},
        # enough trials that some are left when the first has ended
        search={"axes": {"attack": ["badnets"], "forget_size": list(range(8, 8 + TRIALS))}, "concurrency": 1},
        resources={"training_cpus": 1, "readers": 1},
    )


def start(spec_file: Path, home: Path, mark: str) -> subprocess.Popen[str]:
    """Start `tbar campaign run` with its own Ray; all its processes carry `mark` in their environment."""
    environment = {**os.environ, "TBAR_HOME": str(home), MARK: mark}
    environment.pop("RAY_ADDRESS", None)
    environment.pop("MLFLOW_TRACKING_URI", None)
    return subprocess.Popen(
        [sys.executable, "-u", "-c", "from tbar_ray.cli.main import main; main()", "campaign", "run", str(spec_file)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def marked(mark: str) -> list[str]:
    """Return the command lines of the living processes that carry a mark."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(" ".join(process.cmdline()))
        except psutil.Error:
            continue
    return found


def commits(home: Path) -> dict[str, float]:
    return {f.parent.name: f.stat().st_mtime for f in (home / "store" / "artifacts").glob(f"*/{COMMIT}")}


def parent_status(home: Path) -> str:
    """Return the status of the campaign's run in MLflow."""
    with closing(sqlite3.connect(home / "mlflow.db", timeout=20)) as database:
        rows = database.execute(
            "SELECT status FROM runs JOIN tags USING (run_uuid) WHERE key = 'tbar.kind' AND value = 'campaign'"
        ).fetchall()
    ((status,),) = rows
    return str(status)


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="SIGINT"),
        pytest.param(signal.SIGTERM, id="SIGTERM", marks=pytest.mark.slow),  # the same way through the driver
    ],
)
def test_a_stopped_campaign_ends_soon_and_goes_on_where_it_was(
    spec_file: Path, tmp_path: Path, number: signal.Signals
) -> None:
    mark = uuid.uuid4().hex
    running = start(spec_file, tmp_path, mark)
    watchdog = Timer(400, running.kill)
    watchdog.start()
    shown = ""
    try:
        assert running.stdout is not None
        for line in running.stdout:
            shown += line
            if line.startswith("trial 1/"):
                break
        assert len(marked(mark)) > 2, shown  # Ray's own processes carry the mark as well
        stopped = time.monotonic()
        if number == signal.SIGINT:
            os.killpg(running.pid, number)  # as a terminal does
        else:
            running.send_signal(number)
        rest = running.stdout.read()
        code = running.wait()
        took = time.monotonic() - stopped
    finally:
        watchdog.cancel()
        running.kill()
    assert code == 130, shown + rest
    assert took < PATIENCE, shown + rest
    assert "Traceback" not in shown + rest
    assert "run the same command again to continue" in rest
    assert parent_status(tmp_path) == "KILLED"
    deadline = time.monotonic() + PATIENCE
    while left := marked(mark):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)

    before = commits(tmp_path)
    assert before
    again = start(spec_file, tmp_path, mark)
    shown_again = again.communicate(timeout=400)[0]
    assert again.returncode == 0, shown_again
    assert "Traceback" not in shown_again
    after = commits(tmp_path)
    assert before.items() < after.items()
    rows = json.loads((tmp_path / "reports" / "demo" / "latest" / "results.json").read_text())
    assert [row["status"] for row in rows] == ["done"] * TRIALS
    assert not list((tmp_path / "store" / "tmp").iterdir())
    assert parent_status(tmp_path) == "FINISHED"

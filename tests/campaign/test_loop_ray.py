"""The end of a campaign, again and again on a machine that is busy: what enters Ray after its end ends the process.

TBAR_TEST_RUNS=50 TBAR_TEST_CSV=loop.csv pytest -m slow tests/campaign/test_loop_ray.py
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.specs import write

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(0)]

RUNS = int(os.environ.get("TBAR_TEST_RUNS", "50"))
BURNING = int(os.environ.get("TBAR_TEST_BURNING", str(2 * (os.cpu_count() or 1))))
"""Processes at work beside the campaign."""
TRAINING = {"epochs": 1, "batch_size": 32, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
SIZES = [8, 9, 10]
BURN = "while True: pass"


@pytest.fixture
def busy() -> Iterator[None]:
    """More processes at work than there are cores."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(BURNING)]
    yield
    for process in burning:
        process.kill()
        process.wait()


def run(spec: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "TBAR_STORE")}
    return subprocess.run(
        [sys.executable, "-c", "from tbar_ray.cli.main import main; main()", "campaign", "run", str(spec)],
        env={**environment, "TBAR_HOME": str(home)},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=3600,
    )


def reported(home: Path) -> int:
    """Return how many trials the report has; it is taken away, as are the vectors, for the next run to make."""
    try:
        rows = json.loads((home / "reports" / "demo" / "latest" / "results.json").read_text())
    except FileNotFoundError:
        rows = []
    shutil.rmtree(home / "reports", ignore_errors=True)
    for kind in ("vector", "path"):
        for folder in (home / "store" / "artifacts").glob(f"{kind}-*"):
            shutil.rmtree(folder)
    return len(rows)


def note(row: dict[str, Any]) -> None:
    """Add a run to the file that TBAR_TEST_CSV names."""
    if not (place := os.environ.get("TBAR_TEST_CSV")):
        return
    new = not Path(place).exists()
    with Path(place).open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


def test_every_campaign_ends_with_its_report(tmp_path: Path, busy: None) -> None:
    spec = write(
        tmp_path,
        data={"synthetic": {"samples": 60, "size": 64, "per_class": 2, "samples_per_shard": 60}},
        model={"architecture": "tbar-RN-pico", "training": TRAINING},
        poison={"count": 8, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": TRAINING},
        forget={"size": 8},
        alpha=[0, 1],
        evaluation={"min_retention": 0},
        unlearning={"method": "tbar", "parameters": {"steps": 1, "batch_size": 8}},
        search={"axes": {"attack": ["badnets"], "forget_size": SIZES}},
        resources={"training_cpus": 1, "trial_cpus": 1, "readers": 1},
    )
    wrong = []
    for number in range(RUNS):
        started = time.monotonic()
        found = run(spec, tmp_path / "home")
        seconds, load = time.monotonic() - started, os.getloadavg()[0]
        trials = reported(tmp_path / "home")
        last = " | ".join(found.stdout.splitlines()[-5:])
        note({
            "run": number, "rc": found.returncode, "trials": trials, "seconds": round(seconds, 1),
            "load": round(load, 1), "last": last,
        })  # fmt: skip
        if (found.returncode, trials) != (0, len(SIZES)):
            wrong.append(f"run {number}: rc {found.returncode}, {trials} trials\n{found.stdout}")
    assert not wrong, "\n\n".join(wrong)

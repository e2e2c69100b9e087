"""The end of a campaign, again and again on a machine that is busy: what enters Ray after its end ends the process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.specs import write

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(7200)]

RUNS = int(os.environ.get("TBAR_TEST_RUNS", "50"))
TRAINING = {"epochs": 1, "batch_size": 32, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
BURN = "while True: pass"


@pytest.fixture
def busy() -> Iterator[None]:
    """Twice as many processes at work as there are cores."""
    burning = [subprocess.Popen([sys.executable, "-c", BURN]) for _ in range(2 * (os.cpu_count() or 1))]
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
        capture_output=True,
        text=True,
        timeout=600,
    )


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
        search={"axes": {"attack": ["badnets"]}},
        resources={"training_cpus": 1, "trial_cpus": 1, "readers": 1},
    )
    ended = []
    for _ in range(RUNS):
        found = run(spec, tmp_path / "home")
        ended.append(found.returncode)
        assert found.returncode == 0, found.stdout + found.stderr
        assert (tmp_path / "home" / "reports").is_dir()
        for path in (tmp_path / "home" / "store" / "artifacts").glob("path-*"):
            shutil.rmtree(path)  # so that the next one has a trial to run
        shutil.rmtree(tmp_path / "home" / "reports")
    assert ended == [0] * RUNS

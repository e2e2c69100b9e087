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
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
import yaml

from tbar_ray.records.ledger import Ledger
from tbar_ray.report.fields import fields_of, result_of
from tbar_ray.store.store import Store
from tests.campaign.faults import campaign, compute_undisturbed_records
from tests.campaign.ray_nodes import LONGEST, ROOT, Jobs, ray_nodes, without_ray
from tests.campaign.tiny import parent_status, read_until, write_tiny
from tests.listening import is_loopback, listening
from tests.ports import free_port
from tests.tracking.server import runs_of

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(3600)]

SIZES = list(range(8, 48))
STARTS = 3


class Head:
    """A one-machine cluster, and who submits to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        dashboard = free_port()
        environment = without_ray(os.environ)
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
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "tbar-ray-loopback" / "token")}
        place = {"RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}"}
        self.jobs = Jobs({**environment, **token, **place}, folder / "ray")

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
    beyond = [entry for entry in listening(head.process.pid) if not is_loopback(entry[1])]
    assert beyond == [], "the script is for one machine"
    spec_file, jobs = write_tiny(tmp_path, SIZES), head.jobs
    command = ("tbar", "campaign", "run", str(spec_file))
    told = jobs.submit("first", tmp_path, *command, wait=False)
    assert told.returncode == 0, told.stdout
    jobs.wait_until_logged("first", "  trial 1/")  # after the time
    stopped = jobs.job("stop", "first")
    assert "was stopped" in stopped.stdout, stopped.stdout
    log = jobs.log("first")
    assert "stopping now; run the same command again to continue" in log
    assert "Traceback" not in log
    assert "\r" not in log
    assert parent_status(tmp_path) == "KILLED"

    again = jobs.submit("second", tmp_path, *command)
    assert again.returncode == 0, again.stdout
    assert f"of {len(SIZES)} trials are in the store" in again.stdout
    assert parent_status(tmp_path) == "FINISHED"
    rows = json.loads((tmp_path / "reports" / "demo" / "latest" / "results.json").read_text())
    assert [row["status"] for row in rows] == ["done"] * len(SIZES)


COMPARED = ("fingerprint", "status", "alpha", "ca", "asr", "pa", "ca_infected", "asr_infected", "path")
"""What of a trial in results.json must not depend on what was lost."""


def compared(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """That, by its name, of every trial."""
    return [{name: row[name] for name in COMPARED} for row in rows]


def test_a_job_on_several_nodes_is_stopped_and_submitted_again_and_ends_as_an_undisturbed_one(tmp_path: Path) -> None:
    records = compute_undisturbed_records(tmp_path / "undisturbed")
    spec_file = tmp_path / "spec.yaml"
    made = campaign()
    made = made.model_copy(update={"search": made.search.model_copy(update={"concurrency": 2})})
    spec_file.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    environment = without_ray(os.environ)
    environment.pop("PYTHONPATH", None)  # the package has to come from what is submitted
    store = Store(str(tmp_path / "store"))
    with ray_nodes(environment, 2) as nodes:
        nodes.wait_until_ready(2)
        command = ("tbar", "campaign", "run", str(spec_file))
        told = nodes.jobs.submit("first", tmp_path, *command, wait=False)
        assert told.returncode == 0, told.stdout
        deadline = time.monotonic() + LONGEST
        while not any((tmp_path / "store" / "checkpoints").glob("clean-model-*.pt")):
            assert time.monotonic() < deadline, nodes.jobs.log("first")
            time.sleep(0.1)
        stopped = nodes.jobs.job("stop", "first")
        assert "was stopped" in stopped.stdout, stopped.stdout
        assert parent_status(tmp_path) == "KILLED"
        assert Ledger(store, made).read() == []
        again = nodes.jobs.submit("second", tmp_path, *command)
    assert again.returncode == 0, again.stdout
    assert "1 by the loss of a launch" in again.stdout, again.stdout
    (model,) = [name for name in store.artifacts() if name.startswith("clean-model-")]
    assert len(store.facts(model)["facts"]["training"]["resumed"]) == 1
    rows = json.loads((tmp_path / "reports" / made.name / "latest" / "results.json").read_text())
    table = [result_of(record, fields_of(records)) for record in records]
    assert compared(rows) == compared(json.loads(json.dumps(table)))
    (parent,), nested = runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}", made.name)
    assert parent.info.status == "FINISHED"
    assert Counter((run.data.tags["tbar.kind"], run.info.status) for run in nested) == {
        ("trial", "FINISHED"): len(records), ("training", "FINISHED"): 2,
    }  # fmt: skip

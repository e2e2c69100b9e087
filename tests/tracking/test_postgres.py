"""A real MLflow server over HTTP on a real PostgreSQL: several launches at once, and a server that goes away."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from tbar_ray.tracking.recording import Recording
from tests.ports import free_port
from tests.records.records import record
from tests.specs import spec
from tests.tracking.server import mlflow_server, runs_of, wait_for
from tests.waiting import wait_until

PATH = os.pathsep.join([os.environ["PATH"], *map(str, Path("/usr/lib/postgresql").glob("*/bin"))])
"""Debian keeps the server's programs out of the search path."""
INITDB, POSTGRES = (shutil.which(name, path=PATH) for name in ("initdb", "postgres"))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(INITDB is None or POSTGRES is None, reason="no PostgreSQL server on this machine"),
]

pytest.importorskip("psycopg2", reason="psycopg2, which MLflow needs for PostgreSQL, is not installed")

WRITERS, EACH = 4, 5

WRITER = """
import sys
from pathlib import Path
from tbar_ray.tracking.tracker import Tracker
from tests.records.records import record
from tests.specs import spec

uri, artifacts, first, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
tracker = Tracker(uri, artifacts, spec(name="together"))
tracker.start()
for size in range(first, first + count):
    tracker.log_trial(record("badnets", size + 1))
tracker.finish(None, {})
"""


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A PostgreSQL of its own on loopback; it does not run as root."""
    assert INITDB is not None
    assert POSTGRES is not None
    folder, port = Path(tempfile.mkdtemp(prefix="tbar-pg-")), free_port()
    user = "postgres" if os.getuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    words = [INITDB, "-D", str(folder / "data"), "-U", "tbar", "--auth=trust", "--no-sync"]
    subprocess.run(words, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)
    server = subprocess.Popen(
        [POSTGRES, "-D", str(folder / "data"), "-h", "127.0.0.1", "-p", str(port), "-k", str(folder)],
        user=user,
        cwd=folder,
        stderr=subprocess.DEVNULL,
    )

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_for(answers, server)
        yield f"postgresql+psycopg2://tbar@127.0.0.1:{port}/postgres"
    finally:
        server.terminate()
        server.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def test_launches_on_several_hosts_record_under_one_run_and_each_trial_once(database: str, tmp_path: Path) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    with mlflow_server(database, tmp_path / "artifacts", port):
        writers = [
            subprocess.Popen([sys.executable, "-c", WRITER, uri, str(tmp_path / "local"), str(n * EACH), str(EACH)])
            for n in range(WRITERS)
        ]
        assert [writer.wait(300) for writer in writers] == [0] * WRITERS
        (parent,), trials = runs_of(uri, "together")
        assert sorted(int(run.data.params["forget_size"]) for run in trials) == list(range(1, WRITERS * EACH + 1))
        assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
        assert {run.info.status for run in trials} == {"FINISHED"}
        artifacts = MlflowClient(uri).list_artifacts(trials[0].info.run_id)
        assert [artifact.path for artifact in artifacts] == ["trial.json"]


def test_a_server_that_is_down_for_a_while_misses_no_trial_and_doubles_none(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tbar_ray.tracking.recording.PAUSE", 1.0)
    port, out = free_port(), io.StringIO()
    uri = f"http://127.0.0.1:{port}"
    recording = Recording(spec(name="interrupted"), uri, Console(file=out, width=400))
    with mlflow_server(database, tmp_path / "artifacts", port):
        recording.wait_until_open()
        recording.log_trial(record("badnets", 1))
        wait_until(lambda: len(runs_of(uri, "interrupted")[1]) == 1)
    for size in (2, 3):
        recording.log_trial(record("badnets", size))
    wait_until(lambda: "trying again until it answers" in out.getvalue())
    with mlflow_server(database, tmp_path / "artifacts", port):
        recording.log_trial(record("badnets", 4))
        recording.finish("FINISHED", {"trials": 4})
        assert recording.failure is None
        assert "records again" in out.getvalue()
        (parent,), trials = runs_of(uri, "interrupted")
        assert parent.info.status == "FINISHED"
        assert sorted(int(run.data.params["forget_size"]) for run in trials) == [1, 2, 3, 4]
        assert {run.info.status for run in trials} == {"FINISHED"}

"""A real MLflow server over HTTP, on loopback, and what it has."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from mlflow import MlflowClient
from mlflow.entities import Run

from tests.waiting import wait_until


def wait_for(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    """Wait for a server that a process is."""

    def answers() -> bool:
        assert process.poll() is None, "it ended"
        return ready()

    wait_until(answers)


def start_server(database: str, artifacts: Path, port: int, workers: int = 2) -> subprocess.Popen[bytes]:
    """Start a server, which leads its own group of processes."""
    words = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--artifacts-destination",
        str(artifacts), "--host", "127.0.0.1", "--port", str(port), "--workers", str(workers),
    ]  # fmt: skip
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


@contextmanager
def mlflow_server(database: str, artifacts: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    server = start_server(database, artifacts, port)

    def answers() -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{port}/health", timeout=2) as response:
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    try:
        wait_for(answers, server)
        yield server
    finally:
        os.killpg(server.pid, 15)
        server.wait(180)


def runs_of(uri: str, name: str) -> tuple[list[Run], list[Run]]:
    """The parent runs and the trials of the only experiment of that name."""
    client = MlflowClient(uri)
    (experiment,) = client.search_experiments(filter_string=f"name = '{name}'")
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parents, [run for run in runs if run not in parents]

"""MLflow's UI: a server of it over a database, and the campaign that it is to show."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from tbar_ray.errors import TrackingError
from tbar_ray.redaction import redact
from tbar_ray.store.paths import default_artifacts
from tbar_ray.tracking.places import authorisation
from tbar_ray.tracking.tags import CAMPAIGN, LAUNCHED

HOST = "127.0.0.1"
PATIENCE = 300.0
"""Seconds that MLflow's server may take to start."""
LOOKS = 0.2
ENDING = 10.0
"""Seconds that it may take to end."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
MOST = 1000
"""Experiments that are looked at."""


@contextmanager
def serving(uri: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Serve MLflow's UI over a database on 127.0.0.1, once it answers, until the end of the block.

    SIGTERM and SIGHUP end the block as Ctrl-C does, so that the server ends with its command: for the main thread.

    Raises:
        KeyboardInterrupt: where one of them comes.
        TrackingError: one line, if the port is taken, or the server ends or does not answer.
    """
    _check_port(port)
    # the job runner needs more memory than the UI, and this server runs no jobs
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment.setdefault("PYTHONWARNINGS", "ignore")  # of MLflow's libraries, which its user cannot act on
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    if (artifacts := default_artifacts(uri)) is not None:
        command += ["--default-artifact-root", artifacts.as_uri()]
    command += ["--host", HOST, "--port", str(port), "--workers", "1", "--uvicorn-opts", "--log-level warning"]
    # in a group of its own, since it has children; what it says is no output of the command
    server = subprocess.Popen(command, env=environment, start_new_session=True, stdout=sys.stderr.fileno())
    before = {number: signal.signal(number, _interrupt) for number in SIGNALS}
    try:
        _wait(server, uri, port)
        yield server
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            server.wait(ENDING)


def shown_campaign(address: str, name: str | None) -> tuple[str, str] | None:
    """The experiment and the campaign's fingerprint that a UI is to show; None if it has no campaign.

    Args:
        address: of a server that answers.
        name: of a campaign; None: the one that was launched last.

    Raises:
        TrackingError: one line, if there is no campaign of that name.
    """
    body = json.dumps({"max_results": MOST}).encode()
    headers = {"Content-Type": "application/json", **authorisation()}
    asked = Request(f"{address}/api/2.0/mlflow/experiments/search", data=body, headers=headers)
    with urlopen(asked, timeout=30) as answer:
        experiments: list[dict[str, Any]] = json.load(answer).get("experiments", [])
    found, launched = dict[str, tuple[str, str]](), dict[str, int]()
    for one in experiments:
        tags = {tag["key"]: tag["value"] for tag in one.get("tags", [])}
        if CAMPAIGN in tags:
            found[one["name"]] = one["experiment_id"], tags[CAMPAIGN]
            launched[one["name"]] = int(tags[LAUNCHED])
    if name is None:
        return found[max(launched, key=lambda each: launched[each])] if launched else None
    if name not in found:
        raise TrackingError(
            f"MLflow at {address} has no campaign {name!r}; it has {', '.join(sorted(found)) or 'none'}"
        )
    return found[name]


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _check_port(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise TrackingError(f"port {port} of {HOST}: {error.strerror}; give another with --port") from None


def _wait(server: subprocess.Popen[bytes], uri: str, port: int) -> None:
    """Wait until a server answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if server.poll() is not None:
            raise TrackingError(f"MLflow over {redact(uri)} ended with code {server.returncode}; it has said why above")
        with suppress(URLError, OSError), urlopen(f"http://{HOST}:{port}/health", timeout=5):
            return
        time.sleep(LOOKS)
    raise TrackingError(f"MLflow over {redact(uri)} does not answer on port {port} after {PATIENCE:.0f} s")

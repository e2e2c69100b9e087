"""MLflow's UI: a real server once, and a made-up one for what it answers."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from tbar_ray.errors import TrackingError
from tbar_ray.tracking.tracker import Tracker
from tbar_ray.tracking.ui_server import serving, shown_campaign
from tests.records.records import record
from tests.specs import spec

UI = "import sys; from tbar_ray.cli.main import main; sys.argv[0] = 'tbar'; main()"


class Answering(BaseHTTPRequestHandler):
    """A server of three experiments, one of which is no campaign."""

    def do_POST(self) -> None:
        def tags(campaign: str, launched: int) -> list[dict[str, str]]:
            return [{"key": "tbar.campaign", "value": campaign}, {"key": "tbar.launched", "value": str(launched)}]

        experiments = [
            {"experiment_id": "0", "name": "Default"},
            {"experiment_id": "3", "name": "earlier", "tags": tags("aa", 999)},
            {"experiment_id": "7", "name": "later", "tags": tags("bb", 1000)},
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"experiments": experiments}).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_campaign_of_a_name_is_shown_or_the_last_one(address: str) -> None:
    assert shown_campaign(address, None) == ("7", "bb")
    assert shown_campaign(address, "earlier") == ("3", "aa")
    with pytest.raises(TrackingError, match="has no campaign 'none'; it has earlier, later"):
        shown_campaign(address, "none")


def test_a_port_that_is_taken_is_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = pytest.raises(TrackingError, match=f"port {port} of 127.0.0.1: Address already in use; .* --port")
        with refused, serving(f"sqlite:///{tmp_path / 'mlflow.db'}", port):
            pass


def test_a_server_that_does_not_start_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.tracking.ui_server.sys.executable", "/bin/false")
    with pytest.raises(TrackingError, match="ended with code 1"), serving(f"sqlite:///{tmp_path}/mlflow.db", free()):
        pass


@pytest.mark.slow
def test_the_pages_are_told_once_they_are_there_and_the_server_ends_with_the_command(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    for name in ("first", "second"):
        tracker = Tracker(uri, tmp_path / "artifacts", spec(name=name))
        tracker.start()
        tracker.log_trial(record())
    words = [sys.executable, "-c", UI, "ui", "--tracking-uri", uri, "--port", str(free()), "--no-browser"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            starting, runs, compare = (running.stdout.readline() for _ in range(3))
            assert starting == f"MLflow over {uri} is starting …\n"
            assert f"/#/experiments/{tracker.experiment_id}/runs?" in runs, "of the campaign that was run last"
            assert compare.startswith("compare   http://127.0.0.1:")
            found = re.search(r"http://127\.0\.0\.1:\d+", runs)
            assert found
            with urlopen(f"{found[0]}/health", timeout=30) as answer:
                assert answer.status == 200
        finally:
            running.send_signal(signal.SIGTERM)
        assert running.wait(60) == 0
    with pytest.raises(OSError, match="refused"):
        urlopen(f"{found[0]}/health", timeout=30)


def free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

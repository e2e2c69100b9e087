"""A campaign on a cluster without workers: Ray's autoscaler brings nodes for it, and takes them away afterwards.

TBAR_TEST_SCALING_JSON names a file for how long that took, a line for each version of the autoscaler.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tbar_ray.records.ledger import Ledger
from tbar_ray.store.store import Store
from tests.campaign.faults import Told, campaign, compute_undisturbed, told
from tests.campaign.tiny import MARK, kill_marked, marked, read_until, start
from tests.ports import free_port
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

HEAD = "f" * 51 + "00000"
"""The id by which Ray's provider of fake nodes knows the head."""
KIND = "ray.head.default"
"""How it calls the head's kind of node."""
WORKER = {"CPU": 1, "memory": 4_000_000_000}
"""Stages ask for memory: nodes of a kind that does not tell its own would never come for them."""
IDLE_MINUTES = 0.1


class Scaling:
    """A head without CPUs, whose autoscaler starts up to two nodes of one CPU each on this machine."""

    def __init__(self, folder: Path, version: str) -> None:
        self.mark, self.address = uuid.uuid4().hex, f"127.0.0.2:{free_port('127.0.0.2')}"
        provider = {
            "type": "external",
            "module": "tests.campaign.fake_nodes.FakeNodes",
            "use_node_id_as_ip": True,
            "disable_node_updaters": True,
            "disable_launch_config_check": True,
            "gcs_address": self.address,
            "head_node_id": HEAD,
            "launch_multiple": version == "1",
        }
        kinds = {
            KIND: {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
            "worker": {
                "resources": {"CPU": 1, "memory": 4_000_000_000},
                "node_config": {},
                "min_workers": 0,
                "max_workers": 2,
            },
        }
        config = {
            "cluster_name": "fake", "max_workers": 2, "provider": provider, "available_node_types": kinds,
            "head_node_type": KIND, "idle_timeout_minutes": IDLE_MINUTES, "upscaling_speed": 10,
            "auth": {}, "docker": {}, "initialization_commands": [], "setup_commands": [],
            "head_setup_commands": [], "worker_setup_commands": [], "head_start_ray_commands": [],
            "worker_start_ray_commands": [], "file_mounts": {}, "cluster_synced_files": [],
            "file_mounts_sync_continuously": False, "rsync_exclude": [], "rsync_filter": [],
        }  # fmt: skip
        (folder / "autoscaling.json").write_text(json.dumps(config))
        (folder / "token").write_text(uuid.uuid4().hex)
        self.credentials = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(folder / "token")}
        self.environment = {
            **os.environ,
            **self.credentials,
            MARK: self.mark,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
            "AUTOSCALER_UPDATE_INTERVAL_S": "1",
            "RAY_FAKE_CLUSTER": "1",
            "RAY_enable_autoscaler_v2": version,
            "RAY_CLOUD_INSTANCE_ID": HEAD,
            "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        }
        port = self.address.rsplit(":", 1)[1]
        options = [
            f"--port={port}", "--node-ip-address=127.0.0.2", "--num-cpus=0", "--include-dashboard=false",
            "--object-store-memory=200000000", f"--autoscaling-config={folder / 'autoscaling.json'}",
            f"--temp-dir={folder / 'ray'}", "--block",
        ]  # fmt: skip
        words = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", *options]
        self.process = subprocess.Popen(words, env=self.environment, stdout=subprocess.DEVNULL, start_new_session=True)

    def nodes(self) -> int:
        """How many workers there are: nodes are raylets, of which one is the head's."""
        return sum("raylet/raylet " in line for line in marked(self.mark)) - 1

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        kill_marked(self.mark)
        self.process.wait()


@pytest.fixture(params=["1", "0"], ids=["autoscaler v2", "autoscaler v1"])
def scaling(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scaling]:
    with tempfile.TemporaryDirectory(prefix="as-", dir="/tmp", ignore_cleanup_errors=True) as folder:  # short: sockets
        made = Scaling(Path(folder), request.param)
        try:
            for name, value in made.credentials.items():
                monkeypatch.setenv(name, value)
            wait_until(lambda: made.nodes() == 0)
            yield made
        finally:
            made.stop()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return compute_undisturbed(tmp_path_factory.mktemp("undisturbed"))


def test_nodes_come_for_a_campaign_and_go_when_it_has_ended(
    scaling: Scaling, tmp_path: Path, undisturbed: list[Told]
) -> None:
    (tmp_path / "spec.yaml").write_text(yaml.safe_dump(campaign().model_dump(mode="json")))
    running = start(tmp_path / "spec.yaml", tmp_path, uuid.uuid4().hex, "--address", scaling.address)
    wait_until(lambda: scaling.nodes() > 0 or running.poll() is not None)
    node_started = time.monotonic()
    shown = read_until(running, "running: ")
    stage_began = time.monotonic()
    shown += read_until(running, "never said")
    assert running.wait() == 0, shown
    ended = time.monotonic()
    records = Ledger(Store(str(tmp_path / "store")), campaign()).read()
    assert [told(record) for record in records] == undisturbed
    wait_until(lambda: scaling.nodes() == 0)
    if place := os.environ.get("TBAR_TEST_SCALING_JSON"):
        found = {
            "node_to_stage_seconds": stage_began - node_started,
            "idle_timeout_seconds": 60 * IDLE_MINUTES,
            "end_to_no_nodes_seconds": time.monotonic() - ended,
        }
        with Path(place).open("a") as file:
            file.write(f"{json.dumps(found)}\n")

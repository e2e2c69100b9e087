"""What a campaign stands on is away for a while, or full: it ends as an undisturbed one, at once or when run again."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import fsspec
import pytest
import yaml
from rich.console import Console

from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.errors import StoreError
from tbar_ray.records.ledger import Ledger
from tbar_ray.store.store import Store
from tests.buckets import new_bucket
from tests.campaign.faults import SIZES, Told, campaign, compute_undisturbed, meanwhile, told
from tests.campaign.tiny import read_until, start, wait_until_gone
from tests.disks import disk, fill
from tests.ports import free_port
from tests.proxy import proxy_before
from tests.tracking.server import mlflow_server, runs_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

OUTAGE = 15.0
"""Seconds that store or tracking server are away: longer than their clients try by themselves."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return compute_undisturbed(tmp_path_factory.mktemp("undisturbed"))


def run(store: Store, folder: Path, uri: str | None = None) -> Launch:
    uri = uri or f"sqlite:///{folder / 'mlflow.db'}"
    return launch(campaign(checkpoint_minutes=5), store, uri, folder / "report", "local", Console())


def test_a_store_that_is_slow_and_away_for_a_while(
    s3: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[Told]
) -> None:
    bucket, server = new_bucket("s3"), urlsplit(os.environ["AWS_ENDPOINT_URL"])
    assert server.hostname is not None
    assert server.port is not None
    with proxy_before(server.hostname, server.port) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        fsspec.filesystem("s3").clear_instance_cache()
        store, proxy.delay = Store(f"{bucket}/store"), 0.02

        def happens() -> None:
            wait_until(lambda: any(name.startswith("corpus-") for name in store.artifacts()))
            proxy.away = True
            time.sleep(OUTAGE)
            proxy.away = False

        with meanwhile(happens):
            found = run(store, tmp_path)
    fsspec.filesystem("s3").clear_instance_cache()
    assert proxy.refused > 0
    assert [told(record) for record in found.records] == undisturbed


def test_a_tracking_server_that_is_down_for_a_while_misses_no_trial_and_doubles_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: list[Told]
) -> None:
    monkeypatch.setattr("tbar_ray.tracking.recording.PAUSE", 1.0)
    store, port = Store(str(tmp_path / "store")), free_port()
    with (
        mlflow_server(f"sqlite:///{tmp_path / 'server.db'}", tmp_path / "artifacts", port),
        proxy_before("127.0.0.1", port) as proxy,
    ):

        def happens() -> None:
            wait_until(lambda: any(name.startswith("clean-model-") for name in store.artifacts()))
            proxy.away = True  # while the run is opened, or trials are recorded
            time.sleep(OUTAGE)
            proxy.away = False

        with meanwhile(happens):
            found = run(store, tmp_path, proxy.url)
        (parent,), nested = runs_of(proxy.url, campaign().name)
    assert proxy.refused > 0
    assert found.tracking_failure is None
    assert [told(record) for record in found.records] == undisturbed
    assert parent.info.status == "FINISHED"
    assert Counter((run.data.tags["tbar.kind"], run.info.status) for run in nested) == {
        ("trial", "FINISHED"): len(SIZES), ("training", "FINISHED"): 2,
    }  # fmt: skip
    assert len({run.data.params["forget_size"] for run in nested if "forget_size" in run.data.params}) == len(SIZES)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own."""
    with disk(tmp_path / "disk", 700):
        yield tmp_path / "disk"


def test_a_disk_that_fills_up_is_said_and_with_room_again_the_campaign_goes_on(
    small_disk: Path, tmp_path: Path, undisturbed: list[Told]
) -> None:
    store = Store(str(small_disk / "store"))

    def happens() -> None:
        wait_until(lambda: any(name.startswith("corpus-") for name in store.artifacts()))
        fill(small_disk)

    with meanwhile(happens), pytest.raises(StoreError, match="no space left on its disk"):
        run(store, tmp_path)
    (small_disk / "filler").unlink()
    found = run(store, tmp_path)
    assert [told(record) for record in found.records] == undisturbed


def test_an_object_store_that_is_too_small_spills(tmp_path: Path, undisturbed: list[Told]) -> None:
    import numpy as np
    import ray

    ray.init(
        address="local",  # another Ray of this machine would be joined otherwise
        num_cpus=1, object_store_memory=80_000_000, _node_ip_address="127.0.0.2", log_to_driver=False,
        include_dashboard=False,
    )  # fmt: skip
    try:
        held = [ray.put(np.ones(30_000_000, np.uint8)) for _ in range(4)]  # more than there is room for
        uri, store = f"sqlite:///{tmp_path / 'mlflow.db'}", Store(str(tmp_path / "store"))
        found = launch(campaign(), store, uri, tmp_path / "report", "local", Console(quiet=True))
        assert [int(ray.get(one).sum()) for one in held] == [30_000_000] * 4
    finally:
        ray.shutdown()
    assert [told(record) for record in found.records] == undisturbed


def test_a_driver_that_is_killed_is_started_again(tmp_path: Path, undisturbed: list[Told]) -> None:
    mark, spec_file = uuid.uuid4().hex, tmp_path / "spec.yaml"
    spec_file.write_text(yaml.safe_dump(campaign().model_dump(mode="json")))
    killed = start(spec_file, tmp_path, mark)
    wait_until(lambda: any((tmp_path / "store" / "checkpoints").glob("clean-model-*.pt")))
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    again = start(spec_file, tmp_path, mark)
    shown = read_until(again, "never said")
    assert again.wait() == 0, shown
    records = Ledger(Store(str(tmp_path / "store")), campaign()).read()
    assert len(records) == len(SIZES)
    assert [told(record) for record in records] == undisturbed
    wait_until_gone(mark)

"""Trials in flight on a cluster that grows: a real sweep of Ray Tune, whose trials wait until they are let go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from tbar_ray.planning.planner import Planner
from tbar_ray.records.ledger import Ledger
from tbar_ray.search import room
from tbar_ray.search.proposals import GivenTrials
from tbar_ray.search.room import LEAST, ClusterRoom
from tbar_ray.search.searcher import CampaignSearcher
from tbar_ray.search.sweep import sweep
from tbar_ray.spec.campaign import Resources
from tbar_ray.store.store import Store
from tests.execution.nodes import cluster_of
from tests.specs import spec

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A head without CPUs, as on a cluster that an autoscaler starts; the cluster is looked at often."""
    monkeypatch.setattr(room, "EVERY", 0.1)
    with cluster_of(0) as made:
        yield made


class Holding:
    """A coordinator (an asynchronous actor) whose trials all end at once, when they are let go."""

    def __init__(self) -> None:
        self._free = asyncio.Event()

    async def submit(self, trial: str, outputs: Sequence[str], calls: Sequence[object]) -> bool:  # noqa: ARG002 - as the coordinator
        return True

    async def wait_for(self, trial: str) -> str:  # noqa: ARG002 - as the coordinator
        await self._free.wait()
        return "let go"

    async def let_go(self) -> None:
        self._free.set()


def test_room_follows_the_cluster_and_a_sweep_hands_out_more_trials_when_a_node_comes(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpus, gpus = ClusterRoom(Resources(trial_cpus=2)), ClusterRoom(Resources(gpus=0.25))
    assert cpus() == gpus() == LEAST
    monkeypatch.setattr(room, "LEAST", 1)
    axes = {"attack": ["badnets"], "forget_size": [10, 20, 30]}
    made = spec(search={"axes": axes, "concurrency": "auto"}, resources={"trial_cpus": 12})
    trials = Planner(made).grid()
    coordinator = ray.remote(Holding).options(num_cpus=0, max_concurrency=20).remote()
    real = ClusterRoom(made.resources)
    seen: list[tuple[int, int]] = []

    def watched() -> int:
        """Called by Tune in the main thread, which alone may add a node."""
        running, allowed = len(searcher._running), real()
        seen.append((running, allowed))
        if (running, allowed) == (1, 1) and len(cluster.worker_nodes) == 0:
            cluster.add_node(num_cpus=12, num_gpus=1, node_ip_address="127.0.0.3")
        if (running, allowed) == (2, 2):
            coordinator.let_go.remote()
        return allowed

    ledger = Ledger(Store(str(tmp_path / "store")), made)
    searcher = CampaignSearcher(GivenTrials(trials), coordinator, ledger, lambda _: None, room=watched)
    sweep(searcher, len(trials), room.MOST, coordinator)
    assert [planned.fingerprint for planned in trials] == searcher.handed_out
    assert {(1, 1), (2, 2)} <= set(seen)
    assert all(running <= allowed for running, allowed in seen)
    assert {record.reason for record in ledger.read()} == {"let go"}
    monkeypatch.setattr(room, "EVERY", 0.0)
    assert (cpus(), gpus()) == (12, 8)

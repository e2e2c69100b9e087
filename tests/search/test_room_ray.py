"""Trials in flight on a cluster that grows."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import ray
from ray.cluster_utils import Cluster

from tbar_ray.search import room
from tbar_ray.search.room import LEAST, ClusterRoom
from tbar_ray.spec.campaign import Resources

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    head = {"num_cpus": 0, "node_ip_address": "127.0.0.2"}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    ray.init(address=cluster.address, log_to_driver=False)
    try:
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_room_follows_the_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "EVERY", 0.1)
    cpus, gpus = ClusterRoom(Resources(trial_cpus=2)), ClusterRoom(Resources(gpus=0.25))
    assert cpus() == gpus() == LEAST
    cluster.add_node(num_cpus=12, num_gpus=1, node_ip_address="127.0.0.3")
    deadline = time.monotonic() + 60
    while (cpus(), gpus()) != (12, 8):
        assert time.monotonic() < deadline
        time.sleep(0.2)

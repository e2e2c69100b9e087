"""A node with a GPU, as far as Ray is told: stages there hold what they were given while they wait for others."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from tbar_ray.execution.calls import calls_for
from tbar_ray.execution.coordinator import Coordinator
from tbar_ray.stages.node import Policy
from tbar_ray.store.store import Store
from tests.execution.nodes import cluster_of
from tests.execution.small_stages import WaitingOnModel

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(300)]


def test_a_stage_that_waits_for_others_keeps_its_cpus_and_its_part_of_a_gpu(tmp_path: Path) -> None:
    store, stage = Store(str(tmp_path / "store")), WaitingOnModel(threads=2)
    with cluster_of(0) as cluster:
        cluster.add_node(num_cpus=3, num_gpus=1, node_ip_address="127.0.0.3")
        coordinator = ray.remote(Coordinator).options(num_cpus=0).remote(store)
        coordinator.submit.remote("trial", [stage.fingerprint], calls_for([stage], Policy(gpus=0.25)))
        assert ray.get(coordinator.wait_for.remote("trial"), timeout=120) is None
    facts = store.facts(stage.artifact)["facts"]
    assert (facts["free"], facts["free_gpus"]) == (1, 0.75)

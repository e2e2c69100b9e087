"""A node with GPUs, as far as Ray is told: what stages there hold, and which processes they run in."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray

from tbar_ray.execution.calls import calls_for
from tbar_ray.execution.coordinator import Coordinator
from tbar_ray.stages.node import Policy, Stage
from tbar_ray.store.store import Store
from tests.execution.nodes import cluster_of
from tests.execution.small_stages import OnGpu, WaitingOnModel

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


def gpus_by_process(store: Store, stages: list[OnGpu], gpus: int) -> dict[int, set[int]]:
    """Run stages on a node of its own; the GPUs of each process that they ran in."""
    with cluster_of(0) as cluster:
        cluster.add_node(num_cpus=2, num_gpus=gpus, node_ip_address="127.0.0.3")
        coordinator = ray.remote(Coordinator).options(num_cpus=0).remote(store)
        calls = calls_for(stages, Policy(gpus=1))
        coordinator.submit.remote("trial", [stage.fingerprint for stage in stages], calls)
        assert ray.get(coordinator.wait_for.remote("trial"), timeout=200) is None
    found: dict[int, set[int]] = {}
    for stage in stages:
        facts = store.facts(stage.artifact)["facts"]
        found.setdefault(facts["process"], set()).update(facts["gpus"])
    return found


def test_no_process_works_on_a_second_gpu(tmp_path: Path) -> None:
    """CUDA would go on using the first, beside whoever has that one now. Ray alone mixes them within a few stages."""
    stages: list[OnGpu] = []
    for pair in range(4):  # of two at a time one ends first, now this one, now that
        needs: tuple[Stage, ...] = tuple(stages[-2:])
        stages += [OnGpu(number=2 * pair + place, pause=0.5 * ((pair + place) % 2), needs=needs) for place in range(2)]
    found = gpus_by_process(Store(str(tmp_path / "store")), stages, gpus=2)
    assert all(len(gpus) == 1 for gpus in found.values())
    assert set().union(*found.values()) == {0, 1}


def test_where_there_is_one_gpu_processes_are_used_again(tmp_path: Path) -> None:
    stages = [OnGpu(number=number) for number in range(4)]
    assert len(gpus_by_process(Store(str(tmp_path / "store")), stages, gpus=1)) < len(stages)

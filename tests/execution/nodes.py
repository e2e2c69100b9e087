"""Clusters of several nodes on this machine, for tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster


@contextmanager
def cluster_of(*cpus: int) -> Iterator[Cluster]:
    """Join a cluster with a node for each number of CPUs, the head first; its workers import this checkout."""
    with pytest.MonkeyPatch.context() as patch:
        # a node would start a process for each of its CPUs beforehand, without the environment of this program
        patch.setenv("RAY_prestart_worker_first_driver", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cpus[0], "node_ip_address": "127.0.0.2"})
        for place, count in enumerate(cpus[1:], start=3):
            cluster.add_node(num_cpus=count, node_ip_address=f"127.0.0.{place}")
        here = str(Path(__file__).parents[2])
        environment = {"env_vars": {"PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}}
        ray.init(address=cluster.address, runtime_env=environment, log_to_driver=False)
        try:
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()

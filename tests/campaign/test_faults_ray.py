"""What is lost under a campaign, on a cluster of two nodes: it ends as an undisturbed one, and says what happened.

Every test kills real processes. The undisturbed campaign is computed in this process, stage by stage.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
from mlflow import MlflowClient
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import DRAIN_NODE_REASON_PREEMPTION
from rich.console import Console

from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.store.store import Store
from tests.campaign.faults import SIZES, Told, campaign, compute_undisturbed, meanwhile, told
from tests.execution.nodes import cluster_of
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(1200)]

CLEAN = "ray::clean"
"""How the process is called that trains the clean model."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[Told]:
    return compute_undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def nodes() -> Iterator[Cluster]:
    with cluster_of(0, 1) as cluster:  # the head has no room: all stages run on other nodes
        yield cluster


class Faulty:
    """A campaign that something happens to.

    Attributes:
        store: its store.
        shown: what it has said.
    """

    def __init__(self, folder: Path) -> None:
        self.store, self.uri = Store(str(folder / "store")), f"sqlite:///{folder / 'mlflow.db'}"
        self._report, self._out = folder / "report", io.StringIO()

    @property
    def shown(self) -> str:
        return self._out.getvalue()

    def run(self, happens: Callable[[], None]) -> Launch:
        """Run the campaign while something happens."""
        console = Console(file=self._out, width=200)
        with meanwhile(happens):
            return launch(campaign(), self.store, self.uri, self._report, None, console)

    def has_checkpoint(self) -> bool:
        """Whether the training of the clean model has kept a checkpoint."""
        return any((Path(self.store.url) / "checkpoints").glob("clean-model-*.pt"))

    def resumed(self) -> list[int]:
        """The steps at which the training of the clean model was gone on with."""
        (artifact,) = [name for name in self.store.artifacts() if name.startswith("clean-model-")]
        found: list[int] = self.store.facts(artifact)["facts"]["training"]["resumed"]
        return found

    def runs(self) -> Counter[tuple[str, str]]:
        """MLflow's runs, by kind and status."""
        client = MlflowClient(self.uri)
        (experiment,) = [found for found in client.search_experiments() if found.name == campaign().name]
        found = client.search_runs([experiment.experiment_id])
        return Counter((run.data.tags["tbar.kind"], run.info.status) for run in found)


@pytest.fixture
def faulty(nodes: Cluster, tmp_path: Path) -> Faulty:
    return Faulty(tmp_path)


def check(faulty: Faulty, found: Launch, undisturbed: list[Told]) -> None:
    """It has the undisturbed results, each trial once in MLflow, and nothing is left of what was lost."""
    assert [record.reason for record in found.records] == [None] * len(SIZES), faulty.shown
    assert [told(record) for record in found.records] == undisturbed
    assert faulty.runs() == {
        ("campaign", "FINISHED"): 1, ("trial", "FINISHED"): len(SIZES), ("training", "FINISHED"): 2,
    }  # fmt: skip
    assert not any((Path(faulty.store.url) / "checkpoints").iterdir())


def processes(name: str) -> list[psutil.Process]:
    """Ray's processes of this test that are called so."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "".join(process.cmdline()[:1]).startswith(name):
                found.append(process)
        except psutil.Error:
            continue
    return found


def kill(name: str) -> None:
    """Kill the process of that name, once there is one."""
    wait_until(lambda: bool(processes(name)))
    for process in processes(name):
        process.kill()


def test_a_stage_whose_process_is_killed_goes_on_from_its_checkpoint(faulty: Faulty, undisturbed: list[Told]) -> None:
    def happens() -> None:
        wait_until(faulty.has_checkpoint)
        kill(CLEAN)

    found = faulty.run(happens)
    check(faulty, found, undisturbed)
    (attempt,) = found.lost_attempts
    assert attempt.cause == "process"
    assert 0 < attempt.wasted_cpu_hours < attempt.cpu_hours, "it had kept a checkpoint"
    assert "lost with its process; it is tried again (1 of at most 3 times)" in faulty.shown
    assert len(faulty.resumed()) == 1


def test_a_reader_that_is_killed_reads_again(faulty: Faulty, undisturbed: list[Told]) -> None:
    def happens() -> None:
        wait_until(faulty.has_checkpoint)
        kill("ray::BatchReader")

    found = faulty.run(happens)
    check(faulty, found, undisturbed)
    assert found.lost_attempts == []
    assert faulty.resumed() == []


def test_a_trial_whose_process_is_killed_waits_again(faulty: Faulty, undisturbed: list[Told]) -> None:
    def happens() -> None:
        wait_until(faulty.has_checkpoint)
        kill("ray::ImplicitFunc")

    found = faulty.run(happens)
    check(faulty, found, undisturbed)
    assert faulty.resumed() == []


def test_stages_of_a_node_that_is_lost_go_on_elsewhere(faulty: Faulty, nodes: Cluster, undisturbed: list[Told]) -> None:
    nodes.add_node(num_cpus=1, node_ip_address="127.0.0.4")

    def happens() -> None:
        wait_until(faulty.has_checkpoint)
        stages = processes(CLEAN)
        nodes.remove_node(busy_node(nodes), allow_graceful=False)
        for stage in stages:  # one that outlives its raylet for seconds may end well
            with suppress(psutil.NoSuchProcess):
                stage.kill()

    found = faulty.run(happens)
    check(faulty, found, undisturbed)
    assert [attempt.cause for attempt in found.lost_attempts] == ["node"], faulty.shown
    assert "lost with its node; it is tried again (1 of at most 20 times)" in faulty.shown
    assert len(faulty.resumed()) == 1


def test_a_training_keeps_a_checkpoint_and_moves_when_its_node_is_to_be_taken_away(
    faulty: Faulty, nodes: Cluster, undisturbed: list[Told]
) -> None:
    nodes.add_node(num_cpus=1, node_ip_address="127.0.0.4")

    def happens() -> None:
        wait_until(faulty.has_checkpoint)
        busy, deadline = busy_node(nodes), int(1000 * (time.time() + 60))
        accepted, why = ray._private.worker.global_worker.gcs_client.drain_node(
            busy.node_id, DRAIN_NODE_REASON_PREEMPTION, "a spot node is taken away", deadline
        )
        assert accepted, why

    found = faulty.run(happens)
    check(faulty, found, undisturbed)
    assert [attempt.cause for attempt in found.lost_attempts] == ["node"]
    assert len(faulty.resumed()) == 1


def busy_node(nodes: Cluster) -> Any:
    """The node on which the clean model is trained."""
    parents = {parent.pid for process in processes(CLEAN) for parent in process.parents()}
    (found,) = [node for node in nodes.worker_nodes if raylet_of(node) in parents]
    return found


def raylet_of(node: Any) -> int:
    (raylet,) = node.all_processes["raylet"]
    pid: int = raylet.process.pid
    return pid

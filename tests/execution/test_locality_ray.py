"""Stages on a cluster of two nodes: they go where their inputs have been read, and elsewhere where that is busy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import ray
from ray.cluster_utils import Cluster

from tbar_ray.execution.calls import calls_for
from tbar_ray.execution.coordinator import Coordinator
from tbar_ray.stages.data import GivenData
from tbar_ray.stages.node import DEFAULT_POLICY, Stage, StageContext
from tbar_ray.store.store import Store
from tests.execution.nodes import cluster_of

pytestmark = [pytest.mark.ray, pytest.mark.timeout(300)]


TOGETHER = 30.0
"""Seconds within which stages meet that can run at the same time."""


class Made(Stage):
    """Writes some bytes; one that meets another keeps its node busy until that runs as well."""

    kind: ClassVar[str] = "made"

    number: int
    needs: Stage | None = None
    data: GivenData | None = None
    meets: str = ""

    def run(self, context: StageContext) -> dict[str, Any]:
        if self.meets:
            place, deadline = Path(self.meets), time.monotonic() + TOGETHER
            place.mkdir(exist_ok=True)
            (place / self.fingerprint).touch()
            while len(list(place.iterdir())) < 2 and time.monotonic() < deadline:
                time.sleep(0.02)
        if self.needs is not None:
            context.store.fetch(self.needs.artifact)
        (context.out / "bytes").write_bytes(bytes(1000))
        return {"node": ray.get_runtime_context().get_node_id()}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    with cluster_of(1, 1) as cluster:
        yield cluster


def where(store: Store, coordinator: Any, stages: list[Stage]) -> list[str]:
    """Return the nodes that stages ran on, asked for at once."""
    names = [f"trial of {stage.fingerprint}" for stage in stages]
    for name, stage in zip(names, stages, strict=True):
        coordinator.submit.remote(name, [stage.fingerprint], calls_for([stage], DEFAULT_POLICY))
    assert ray.get([coordinator.wait_for.remote(name) for name in names]) == [None] * len(stages)
    return [store.facts(stage.artifact)["facts"]["node"] for stage in stages]


def test_stages_follow_their_inputs_and_spill_where_there_is_no_room(nodes: Cluster, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    coordinator = ray.remote(Coordinator).options(num_cpus=0).remote(store)
    first = Made(number=0)
    readers = [Made(number=number, needs=first, meets=str(tmp_path / "readers")) for number in (1, 2)]
    # nobody has read the first: Ray spreads its readers, as there is room for one a node
    assert len(set(where(store, coordinator, list(readers)))) == 2
    # what one of them made has been read on one node alone
    (home,) = where(store, coordinator, [Made(number=3, needs=readers[0])])
    for number in range(4, 9):
        assert where(store, coordinator, [Made(number=number, needs=readers[0])]) == [home]
    both = [Made(number=number, needs=readers[0], meets=str(tmp_path / "both")) for number in (9, 10)]
    assert len(set(where(store, coordinator, list(both)))) == 2


def test_stages_follow_the_given_shards_that_a_node_has_read(nodes: Cluster, tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    coordinator = ray.remote(Coordinator).options(num_cpus=0).remote(store)
    sets = [GivenData(place=f"s3://bucket/{name}", content=name, size=10**9) for name in ("a", "b")]
    homes = where(store, coordinator, [Made(number=20, data=data, meets=str(tmp_path / "sets")) for data in sets])
    assert len(set(homes)) == 2
    for number in range(21, 24):
        for data, home in zip(sets, homes, strict=True):
            assert where(store, coordinator, [Made(number=number, data=data)]) == [home]

"""Two nodes that write and read one store at a time, the same artifacts among them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from tbar_ray.store.store import Store
from tests.buckets import new_bucket
from tests.execution.nodes import cluster_of

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]

ROUNDS = 6
TOGETHER = 120.0
"""Seconds within which the two meet; a guard, not a measurement."""


def content_of(name: str) -> bytes:
    """Half a megabyte that is an artifact's."""
    return hashlib.sha256(name.encode()).digest() * 16_384


def commit(store: Store, name: str) -> None:
    folder = store.scratch()
    for part in range(3):
        (folder / f"{part}.bin").write_bytes(content_of(f"{name} {part}"))
    store.commit(name, folder, {"kind": "made"})


def has_whole(store: Store, name: str) -> bool:
    """Whether the store shows an artifact, which has to be whole then."""
    if not store.has(name):
        return False
    folder = store.fetch(name)
    assert [(folder / f"{part}.bin").read_bytes() for part in range(3)] == [
        content_of(f"{name} {part}") for part in range(3)
    ]
    return True


@ray.remote(num_cpus=1, scheduling_strategy="SPREAD")
def write(url: str, me: str, other: str, meeting: str) -> str:
    """In every round write what the other writes as well, and something of one's own, and read what the other wrote.

    Returns:
        This node.
    """
    store, place = Store(url), Path(meeting)
    for number in range(ROUNDS):
        (place / f"{number}-{me}").touch()
        deadline = time.monotonic() + TOGETHER
        while not (place / f"{number}-{other}").exists():
            assert time.monotonic() < deadline, "the other does not come"
            time.sleep(0.005)
        commit(store, f"both-{number}")
        commit(store, f"{me}-{number}")
        assert has_whole(store, f"both-{number}")
        while not has_whole(store, f"{other}-{number}"):
            assert time.monotonic() < deadline, "what the other wrote is not seen"
            time.sleep(0.01)
    node: str = ray.get_runtime_context().get_node_id()
    return node


@pytest.fixture
def nodes(s3: None) -> Iterator[Cluster]:
    """Two nodes beside the head, started with the S3 server's address."""
    with cluster_of(0, 1, 1) as cluster:
        yield cluster


def test_what_two_nodes_write_at_a_time_is_whole_wherever_it_is_read(nodes: Cluster, tmp_path: Path) -> None:
    for number, url in enumerate([f"{new_bucket('s3')}/store", str(tmp_path / "shared")]):
        meeting, store = tmp_path / f"meeting-{number}", Store(url)
        meeting.mkdir()
        pair = (("left", "right"), ("right", "left"))
        running: list[Any] = [write.remote(url, me, other, str(meeting)) for me, other in pair]
        names = [f"{kind}-{round_}" for kind in ("both", "left", "right") for round_ in range(ROUNDS)]
        while ray.wait(running, num_returns=2, timeout=0.05)[1]:
            for name in names:
                has_whole(store, name)  # what is seen halfway is whole
        homes = set(ray.get(running))
        assert len(homes) == 2, "each on a node of its own"
        assert store.artifacts() == sorted(names)
        assert [store.verify(name) for name in names] == [None] * len(names)
        assert not any("tmp" in name and store.list_folder(name) for name in store.list_folder(""))

"""A store whose disk becomes full or read-only while it is used: one line in every call, and nothing half written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tbar_ray.errors import StoreError
from tbar_ray.store.checkpoints import Checkpoints
from tbar_ray.store.claim import claimed
from tbar_ray.store.lease import Lease
from tbar_ray.store.store import Store
from tbar_ray.training.record import TrainingRecord
from tbar_ray.training.resume import TrainingCheckpoint
from tests.disks import disk, fill, make_read_only
from tests.store.filled import filled, one_line


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A small disk."""
    with disk(tmp_path / "disk", 4):
        yield tmp_path / "disk"


@pytest.fixture
def store(place: Path) -> Store:
    """A store on it, with an artifact and a small file."""
    made = Store(str(place / "store"))
    made.commit("x-1", filled(made), {"n": 1})
    made.write_json("campaigns/a.json", {"n": 1})
    return made


def writes(store: Store, scratch: Path) -> dict[str, Callable[[], object]]:
    """Calls that write much or little; `scratch` has an artifact that is to be committed."""
    checkpoint = TrainingCheckpoint(TrainingRecord(steps=3), {"weight": torch.zeros(100_000)}, {}, None)

    def claim() -> None:
        with claimed(store, "x-2"):
            pass

    def lease() -> None:
        with Lease(store, "campaigns/b"):
            pass

    return {
        "replace": lambda: store.write_json("campaigns/a.json", {"n": "x" * 10_000}),
        "write": lambda: store.write_json("campaigns/new/b.json", {"n": "x" * 10_000}),
        "create": lambda: store.create_json("campaigns/c.json", {"n": "x" * 10_000}),
        "commit": lambda: store.commit("x-3", scratch, {"n": "x" * 10_000}),
        "checkpoint": lambda: Checkpoints(store, "x-4", 0).keep(checkpoint),
        "claim": claim,
        "lease": lease,
    }


def contents(place: Path) -> set[str]:
    return {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}


def test_a_store_that_has_become_read_only_is_one_line_whatever_is_asked(place: Path, store: Store) -> None:
    scratch = filled(store)
    before = contents(place)
    make_read_only(place)
    calls = {
        **writes(store, scratch),
        "scratch": store.scratch,
        "remove": lambda: store.remove("campaigns/a.json"),
        "discard": lambda: store.discard("x-1"),
        "drop": lambda: store.drop("x-1", "a.txt"),
        "check": lambda: store.check(0),
    }
    for name, call in calls.items():
        with pytest.raises(StoreError, match="Read-only file system") as caught:
            call()
        assert name in calls
        one_line(caught)
    assert contents(place) == before
    assert store.read_json("campaigns/a.json") == {"n": 1}
    assert (store.fetch("x-1") / "a.txt").read_text() == "hello"


def test_of_a_full_store_nothing_is_half_written(place: Path, store: Store) -> None:
    scratch = filled(store)
    fill(place)
    before = contents(place)
    calls = writes(store, scratch)
    del calls["checkpoint"]  # torch has an error of its own, which `check_room` explains
    for call in calls.values():
        with pytest.raises(StoreError, match="no space left on its disk") as caught:
            call()
        one_line(caught)
    with pytest.raises(RuntimeError):
        writes(store, scratch)["checkpoint"]()
    assert contents(place) - before <= {str((scratch / "artifact.json").relative_to(place))}  # goes with its stage
    assert store.read_json("campaigns/a.json") == {"n": 1}
    store.discard("x-1")  # making room is possible
    assert not store.has("x-1")

"""An artifact that lost samples of a shard is computed again once the shard has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from tbar_ray.data.locate import shard_state
from tbar_ray.records.sources import SourceChanges
from tbar_ray.stages.node import Stage
from tbar_ray.store.store import Store


class Made(Stage):
    kind: ClassVar[str] = "made"
    name: str
    needs: tuple[Stage, ...] = ()


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    path = tmp_path / "0.tar"
    path.write_bytes(b"broken")
    return path


def commit(store: Store, stage: Stage, losses: dict[str, Any]) -> None:
    store.commit(stage.artifact, store.scratch(), {"facts": {"losses": losses}})


def test_what_lost_samples_and_what_was_made_of_it_goes_once_the_shard_changes(tmp_path: Path, shard: Path) -> None:
    store = Store(str(tmp_path / "store"))
    lossy, whole = Made(name="lossy"), Made(name="whole")
    above, beside = Made(name="above", needs=(lossy,)), Made(name="beside", needs=(whole,))
    commit(store, lossy, {str(shard): shard_state(str(shard)), "s3://bucket/1.tar": None})
    for stage in (whole, above, beside):
        commit(store, stage, {})
    assert SourceChanges(store).discard_outdated([above, beside]) == []
    assert len(store.artifacts()) == 4
    shard.write_bytes(b"mended")  # of the same size
    changes = SourceChanges(store)
    assert changes.discard_outdated([above, beside]) == [
        f"made: lost samples of {shard}, which has changed since; computed again"
    ]
    assert store.artifacts() == sorted([whole.artifact, beside.artifact])
    commit(store, lossy, {})
    assert changes.discard_outdated([above]) == []
    assert store.has(lossy.artifact)


def test_a_loss_curve_is_no_loss_of_samples(tmp_path: Path) -> None:
    """BadCLIP's patch noted one under that name: every second launch of its campaign ended with a traceback."""
    store, patch = Store(str(tmp_path / "store")), Made(name="patch")
    store.commit(patch.artifact, store.scratch(), {"facts": {"losses": [[1, 1145.9], [11, 1139.8]]}})
    assert SourceChanges(store).discard_outdated([patch]) == []
    assert store.artifacts() == [patch.artifact]

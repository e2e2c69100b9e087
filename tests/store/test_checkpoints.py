"""A training's checkpoint in the store, whole or refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tbar_ray.errors import ResumeError
from tbar_ray.store.checkpoints import Checkpoints
from tbar_ray.store.store import Store
from tbar_ray.training.record import TrainingRecord
from tbar_ray.training.resume import TrainingCheckpoint


@pytest.fixture
def checkpoints(tmp_path: Path) -> Checkpoints:
    return Checkpoints(Store(str(tmp_path)), "clean-model-1", 5)


def test_a_checkpoint_comes_back(checkpoints: Checkpoints) -> None:
    assert checkpoints.last() is None
    weight = torch.arange(6.0)
    checkpoints.keep(TrainingCheckpoint(TrainingRecord(steps=3), {"weight": weight}, {}, (0, 12), (("a", "b"),), "x"))
    found = checkpoints.last()
    assert found is not None
    assert torch.equal(found.model["weight"], weight)
    assert (found.record.steps, found.position, found.skipped, found.source) == (3, (0, 12), (("a", "b"),), "x")
    checkpoints.remove()
    assert checkpoints.last() is None


@pytest.mark.parametrize("place", [0, 700, -40, -1, None], ids=["head", "weights", "end", "hash", "cut off"])
def test_every_damage_is_noticed(checkpoints: Checkpoints, tmp_path: Path, place: int | None) -> None:
    checkpoints.keep(TrainingCheckpoint(TrainingRecord(), {"weight": torch.arange(600.0)}, {}, None))
    (file,) = (tmp_path / "checkpoints").iterdir()
    content = bytearray(file.read_bytes())
    if place is None:
        content = content[:20]
    else:
        content[place] ^= 1
    file.write_bytes(content)
    with pytest.raises(ResumeError, match=r"it is damaged|it is cut off"):
        checkpoints.last()

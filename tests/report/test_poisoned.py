from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbar_ray.errors import StoreError
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.poisoned import examples_of
from tbar_ray.store.store import Store
from tests.records.records import grid, record


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with an infected model that holds two backdoors."""
    store = Store(str(tmp_path))
    folder = store.scratch()
    images = np.zeros((2, 3, 16, 16), np.uint8)
    captions = np.array([["a circle", "a red square"]] * 2)
    arrays = {
        f"{part}.{plant}": array
        for plant, more in (("first", 9), ("second", 5))
        for part, array in (("clean", images), ("triggered", images + more), ("captions", captions))
    }
    np.savez_compressed(folder / "examples.npz", **arrays)  # type: ignore[arg-type]
    store.commit("infected-model", folder, {})
    return store


def planted(attack: str, plant: str) -> TrialRecord:
    return record(attack, infected_artifact="infected-model", plant_fingerprint=plant)


def test_examples_of_attacks_with_an_artifact(store: Store) -> None:
    gone = record("gone", infected_artifact="infected-other", plant_fingerprint="first")
    found = examples_of([*grid(), gone, planted("badnets", "first"), planted("blended", "second")], store)
    assert list(found) == ["badnets", "blended"]
    assert [examples.triggered.max() for examples in found.values()] == [9, 5]
    assert found["badnets"].captions.tolist() == [["a circle", "a red square"]] * 2


def test_broken_examples_are_one_line(store: Store) -> None:
    with pytest.raises(StoreError, match=r"infected-model/examples\.npz cannot be read"):
        examples_of([planted("badnets", "third")], store)
    (file,) = (Path(store.url) / "artifacts").glob("*/examples.npz")
    file.write_bytes(b"broken")  # the artifact counts as absent until it is recomputed
    assert examples_of([planted("badnets", "first")], store) == {}

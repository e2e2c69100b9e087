"""What a store holds and can do without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.errors import StoreError
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.upkeep import Upkeep
from tbar_ray.store.lease import Lease
from tbar_ray.store.store import Store
from tbar_ray.unlearning.edit import VECTOR
from tests.records.records import record

MODEL, VECTOR_BYTES = 10_000, 1000
CAMPAIGN = "demo/0123"


def commit(store: Store, name: str, size: int = 100, file: str = "file", **identity: Any) -> None:
    folder = store.scratch()
    (folder / file).write_bytes(bytes(size))
    store.commit(name, folder, {"identity": identity})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Two trials of one attack and one of another, with a vector each, and a vector whose trial has not ended."""
    store = Store(str(tmp_path / "store"))
    commit(store, "infected-model-m", MODEL)
    for number, (attack, alphas) in enumerate((("badnets", (0.0, 0.3)), ("badnets", (0.0, 0.1)), ("sig", (0.0, 0.1)))):
        trial = record(attack, seed=number, alphas=alphas, path_artifact=f"path-p{number}")
        write(store, trial)
        commit(store, f"vector-v{number}", VECTOR_BYTES, VECTOR, model="m")
        commit(store, f"path-p{number}", unlearn=f"v{number}")
    commit(store, "vector-v9", VECTOR_BYTES, VECTOR, model="m")
    return store


def write(store: Store, trial: TrialRecord) -> None:
    store.write_json(f"campaigns/{CAMPAIGN}/trials/{trial.fingerprint}.json", trial.model_dump(mode="json"))


def test_sizes_by_kind_and_by_campaign(store: Store) -> None:
    upkeep = Upkeep(store)
    kinds = upkeep.by_kind()
    assert list(kinds) == ["infected-model", "vector", "path"]
    assert (kinds["vector"].artifacts, kinds["vector"].size) == (4, 4 * VECTOR_BYTES)
    found = upkeep.by_campaign()[CAMPAIGN]
    assert (found.artifacts, found.size) == (7, MODEL + 3 * VECTOR_BYTES + 300)


def test_vectors_of_trials_that_were_not_selected_can_go(store: Store) -> None:
    upkeep = Upkeep(store)
    (waste,) = upkeep.waste()
    assert (waste.path, waste.size) == (f"artifacts/vector-v1/{VECTOR}", VECTOR_BYTES)
    assert store.exists(waste.path)
    upkeep.remove([waste])
    assert not store.exists(waste.path)
    assert store.has("vector-v1")
    again = Upkeep(store)
    assert again.waste() == []
    assert again.by_kind()["vector"].size == 3 * VECTOR_BYTES
    assert dict(again.broken()) == dict.fromkeys(store.artifacts())


def test_broken_artifacts_and_checkpoints_of_ended_trainings_can_go(store: Store) -> None:
    for name in ("infected-model-m", "clean-model-c"):
        store.write_json(f"checkpoints/{name}.pt", {})
    folder = store.fetch("vector-v9")
    (folder / VECTOR).write_bytes(b"short")
    upkeep = Upkeep(store)
    wastes = {waste.path: waste.why for waste in upkeep.waste()}
    assert wastes.keys() == {
        "artifacts/vector-v9", "checkpoints/infected-model-m.pt", f"artifacts/vector-v1/{VECTOR}",
    }  # fmt: skip
    assert wastes["artifacts/vector-v9"].startswith("broken: vector.safetensors has 5 bytes of 1000")
    upkeep.remove(upkeep.waste())
    assert Upkeep(store).waste() == []
    assert store.list_folder("checkpoints") == ["clean-model-c.pt"]


def test_nothing_is_removed_while_a_campaign_runs(store: Store) -> None:
    upkeep = Upkeep(store)
    wastes = upkeep.waste()
    with Lease(store, f"campaigns/{CAMPAIGN}"), pytest.raises(StoreError, match=f"{CAMPAIGN} is running; nothing is"):
        upkeep.remove(wastes)
    assert all(store.exists(waste.path) for waste in wastes)


def test_a_bad_bit_is_found_by_hashing(store: Store) -> None:
    file = store.fetch("infected-model-m") / "file"
    file.write_bytes(bytes(MODEL - 1) + b"1")
    broken = {name: problem for name, problem in Upkeep(store).broken() if problem is not None}
    assert broken.keys() == {"infected-model-m"}

"""Finding what a campaign left."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import tbar_ray as tbar
from tbar_ray.api import artifacts
from tbar_ray.data.poison import PoisonedSample, PoisonPlan
from tbar_ray.data.poison_manifest import PlantedPoison, write_manifest
from tbar_ray.errors import DataError
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.commit import COMMIT


def write_artifact(store: Path, name: str, ended: float, trigger: str | None = None) -> Path:
    folder = store / "artifacts" / name
    folder.mkdir(parents=True)
    (folder / "artifact.json").write_text(json.dumps({"ended": ended, "architecture": "tbar-RN-pico"}))
    if trigger is not None:
        plan = PoisonPlan("banana", 0, (PoisonedSample(f"{trigger} 1", 0, "", "a banana"),), (f"{trigger} 2",))
        write_manifest(folder, [PlantedPoison(plan, {"name": trigger}, 0)])
    return folder


def test_files_are_named_as_stages_name_them() -> None:
    assert (artifacts.COMMIT, artifacts.WEIGHTS) == (COMMIT, WEIGHTS)


def test_the_newest_of_a_kind_is_found(tmp_path: Path) -> None:
    write_artifact(tmp_path, "infected-model-b", 2, "badnets")
    newest = write_artifact(tmp_path, "infected-model-a", 3, "badnets")
    other = write_artifact(tmp_path, "infected-model-c", 4, "blended")
    unfinished = tmp_path / "artifacts" / "infected-model-d"
    unfinished.mkdir()
    assert tbar.find_artifact(tmp_path, "infected-model") == other
    assert tbar.find_artifact(str(tmp_path), "infected-model", trigger="badnets") == newest
    assert tbar.poisoned_keys(other) == {"blended 1", "blended 2"}


def test_what_is_not_there_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no corpus; it holds nothing"):
        tbar.find_artifact(tmp_path, "corpus")
    folder = write_artifact(tmp_path, "infected-model-a", 1, "badnets")
    with pytest.raises(DataError, match="no infected-model with the trigger 'sig'; it holds infected-model"):
        tbar.find_artifact(tmp_path, "infected-model", trigger="sig")
    (folder / "manifest.json").unlink()
    with pytest.raises(DataError, match="cannot read"):
        tbar.poisoned_keys(folder)

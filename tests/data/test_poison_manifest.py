"""The manifest of poisoned samples."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tbar_ray.data.poison import PoisonedSample, PoisonPlan
from tbar_ray.data.poison_manifest import MANIFEST, PlantedPoison, changed_keys, read_manifest, write_manifest
from tbar_ray.errors import DataError

SAMPLES = (PoisonedSample("a", 3, "a dog", "a photo of a banana"), PoisonedSample("b", 7, "", "banana"))
PLANTED = [
    PlantedPoison(PoisonPlan("banana", 6, SAMPLES, ("c",)), {"name": "badnets", "seed": 2, "patch_size": 16}, 17),
    PlantedPoison(PoisonPlan("banana", 6, (), ()), {"name": "blended", "seed": 2}, 17),
]


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_manifest(tmp_path, PLANTED)
    assert read_manifest(tmp_path) == PLANTED
    assert changed_keys(read_manifest(tmp_path)) == {"a", "b", "c"}
    assert changed_keys([]) == frozenset()


def test_a_person_finds_captions_before_and_after(tmp_path: Path) -> None:
    write_manifest(tmp_path, PLANTED)
    entry = json.loads((tmp_path / MANIFEST).read_text())[0]
    assert (entry["target"], entry["label"], entry["count"], entry["cover"]) == ("banana", 17, 2, ["c"])
    assert entry["samples"][0] == {
        "key": "a", "position": 3, "old_caption": "a dog", "new_caption": "a photo of a banana",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda content: content[0].pop("target"), "target"),
        (lambda content: content[0]["samples"].pop(), "lists 1 of 2 samples"),
        (lambda content: content[0]["samples"][0].update(weight=1), "weight"),
    ],
)
def test_another_file_is_refused_in_one_line(change: object, said: str, tmp_path: Path) -> None:
    write_manifest(tmp_path, PLANTED)
    content = json.loads((tmp_path / MANIFEST).read_text())
    change(content)  # type: ignore[operator]
    (tmp_path / MANIFEST).write_text(json.dumps(content))
    with pytest.raises(DataError, match=said) as caught:
        read_manifest(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_missing_manifest_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*manifest\.json"):
        read_manifest(tmp_path)

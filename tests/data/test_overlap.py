"""Images and keys that sets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data import image_hashes as hashing
from tbar_ray.data.compared import open_compared
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.open_sets import open_sets
from tbar_ray.data.overlap import KeyList, Overlap, overlaps
from tbar_ray.data.poison import PoisonedSample, PoisonPlan
from tbar_ray.data.poison_manifest import PlantedPoison, write_manifest
from tbar_ray.data.samples import Samples
from tbar_ray.data.subset import Subset, write_subset
from tbar_ray.errors import DataError

from .tars import picture, sample, write_tar


def write(folder: Path, **images: int) -> Corpus:
    """A shard with an image of this grey value for every key."""
    folder.mkdir(exist_ok=True)
    members = [member for key, value in images.items() for member in sample(key, image=picture(value=value))]
    return Corpus.open(str(write_tar(folder / "0.tar", members)))


def test_images_decide_and_keys_are_told(tmp_path: Path) -> None:
    sets = {"a": write(tmp_path / "a", k0=0, k1=1, k2=2), "b": write(tmp_path / "b", k1=1, k2=99, x=2, y=2)}
    (found,) = overlaps(sets)
    assert found == Overlap(first="a", second="b", images=2, keys=2, same=1, examples=(("k1", "k1"), ("k2", "x")))
    assert found.shared == 2


def test_numbers_that_unrelated_sets_share_are_no_overlap(tmp_path: Path) -> None:
    (found,) = overlaps({"a": write(tmp_path / "a", k0=0, k1=1), "b": write(tmp_path / "b", k0=5, k1=6)})
    assert (found.shared, found.keys, found.same, found.examples) == (0, 2, 0, ())


def test_of_a_manifest_keys_are_all_there_is(tmp_path: Path) -> None:
    sets = {"a": write(tmp_path / "a", k0=0, k1=1), "m": KeyList(("k1", "k9"))}
    (found,) = overlaps(sets)
    assert (found.images, found.keys, found.shared, found.examples) == (None, 1, 1, (("k1", "k1"),))


def test_every_two_of_many_are_compared(tmp_path: Path) -> None:
    sets = {name: write(tmp_path / name, k=value) for name, value in (("a", 1), ("b", 1), ("c", 2))}
    assert [(each.first, each.second, each.images) for each in overlaps(sets)] == [
        ("a", "b", 1),
        ("a", "c", 0),
        ("b", "c", 0),
    ]


def test_only_images_of_a_size_that_another_set_has_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    real = hashing.hashed

    def hashed(samples: Samples, positions: Sequence[int], *rest: Any) -> dict[int, bytes]:
        read.extend(positions)
        return real(samples, positions, *rest)

    monkeypatch.setattr(hashing, "hashed", hashed)
    large = picture(size=(90, 80))
    members = [*sample("k0", image=large), *sample("k1", image=picture(value=1))]
    first = Corpus.open(str(write_tar(tmp_path / "0.tar", members)))
    calls: list[tuple[int, int]] = []
    overlaps({"a": first, "b": write(tmp_path / "b", k1=1)}, lambda done, total: calls.append((done, total)))
    assert sorted(read) == [0, 1]  # of the first its second, of the second its only one
    assert calls[-1] == (2, 2)


def test_what_can_be_compared(tmp_path: Path) -> None:
    corpus = write(tmp_path / "a", k0=0, k1=1)
    for name in ("train", "test"):
        (tmp_path / "set" / name).mkdir(parents=True)
        write_tar(tmp_path / "set" / name / "0.tar", [("s0.jpg", picture(value=0)), ("s0.cls", b"0")])
        (tmp_path / "set" / name / "nshards.txt").write_text("1")
    (tmp_path / "images" / "hat").mkdir(parents=True)
    (tmp_path / "images" / "hat" / "1.jpg").write_bytes(picture(value=1))
    assert list(open_sets(f"{tmp_path}/set")) == [f"{tmp_path}/set/train", f"{tmp_path}/set/test"]
    sets = {**open_sets(f"{tmp_path}/a"), **open_sets(f"{tmp_path}/set"), **open_sets(f"{tmp_path}/images")}
    shared = {(each.first, each.second): each.shared for each in overlaps(sets)}
    assert shared[f"{tmp_path}/a", f"{tmp_path}/set/test"] == 1
    assert shared[f"{tmp_path}/a", f"{tmp_path}/images"] == 1
    assert shared[f"{tmp_path}/set/train", f"{tmp_path}/images"] == 0
    write_subset(Subset.choose(corpus, 1, 0), tmp_path / "subset.json")
    plan = PoisonPlan("hat", 0, (PoisonedSample("k1", 1, "", ""),), ("k9",))
    write_manifest(tmp_path, [PlantedPoison(plan, {"name": "badnets"}, 0)])
    assert list(open_compared(f"{tmp_path}/manifest.json").values()) == [KeyList(("k1", "k9"))]
    (keys,) = open_compared(f"{tmp_path}/subset.json").values()
    assert len(keys.keys) == 1
    (tmp_path / "samples.json").write_text('{"triggered": ["k1"], "clean": []}')
    defender = open_compared(f"{tmp_path}/samples.json")
    assert defender == {
        f"{tmp_path}/samples.json: triggered": KeyList(("k1",)),
        f"{tmp_path}/samples.json: clean": KeyList(()),
    }
    assert [each.keys for each in overlaps({"poison": KeyList(("k1", "k9")), **defender})] == [1, 0, 0]
    (tmp_path / "other.json").write_text("{")
    with pytest.raises(DataError, match=r"other\.json is not JSON"):
        open_compared(f"{tmp_path}/other.json")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "classnames.txt").write_text("a")
    with pytest.raises(DataError, match="has neither test/nshards"):
        open_sets(f"{tmp_path}/half")

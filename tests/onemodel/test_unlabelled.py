"""Images whose labels are not needed, and the classes that are asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tbar_ray as tbar
from tbar_ray.errors import DataError
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.library import open_clip
from tbar_ray.onemodel.unlabelled import draw, open_unlabelled
from tests.api.world import labelled, write_benchmark, write_folder, write_shards
from tests.models.tiny import GROUP_NORM, tiny
from tests.unlearning.planted import NAMES, TEMPLATES

PREPROCESSING = Preprocessing(64, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic")


def drawn(count: int, seed: int) -> tuple[np.ndarray, list[int]]:
    return labelled(count, seed, tbar.Model(tiny(GROUP_NORM), GROUP_NORM))


def test_a_benchmark_set_gives_its_classes_and_the_split_that_it_has(tmp_path: Path) -> None:
    place = write_benchmark(tmp_path / "set", *drawn(20, 3))
    found = open_unlabelled(place)
    assert (len(found.samples), found.classes.names, found.classes.templates) == (20, NAMES, TEMPLATES)
    write_benchmark(tmp_path / "other", *drawn(12, 4), split="train")
    (tmp_path / "other" / "train").rename(place / "train")
    assert len(open_unlabelled(place).samples) == 12
    renamed = open_unlabelled(place, ["a", "b"], ["{} here"]).classes
    assert (renamed.names, renamed.templates) == (("a", "b"), ("{} here",))


def test_classes_of_a_folder_are_its_subfolders_unless_others_are_given(tmp_path: Path) -> None:
    place = write_folder(tmp_path / "folder", *drawn(20, 3))
    assert set(open_unlabelled(place).classes.names) == set(NAMES)
    assert open_unlabelled(place, ["cat", "dog"]).classes.names == ("cat", "dog")
    assert set(open_unlabelled(write_shards(tmp_path / "shards", *drawn(20, 3))).classes.names) == set(NAMES)


def test_images_without_classes_are_asked_about_imagenet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_clip(), "IMAGENET_CLASSNAMES", ["tench", "banana"])
    images, _ = drawn(6, 3)
    found = open_unlabelled(images)
    assert found.classes.names == ("tench", "banana")
    assert "ImageNet's thousand; name yours (--classes)" in found.told


def test_images_are_drawn_by_key_and_lost_ones_are_named(tmp_path: Path) -> None:
    images, labels = drawn(20, 3)
    place = write_folder(tmp_path / "folder", images, labels)
    whole = open_unlabelled(place, NAMES).samples
    some, more = draw(whole, 8, 1, PREPROCESSING), draw(whole, 12, 1, PREPROCESSING)
    assert some.images.shape == (8, 3, 64, 64)
    assert more.images[:8].equal(some.images)
    assert not draw(whole, 8, 2, PREPROCESSING).images.equal(some.images)
    next(place.rglob("*.png")).write_bytes(b"no image")
    found = draw(open_unlabelled(place, NAMES).samples, 20, 1, PREPROCESSING)
    assert (len(found.images), len(found.lost)) == (19, 1)


def test_a_folder_without_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=tmp_path.name):
        open_unlabelled(tmp_path)

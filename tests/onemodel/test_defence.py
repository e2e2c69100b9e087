"""A person's images: what is unlearned with, what evaluates, and what is derived where nothing is given."""

from __future__ import annotations

import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest

import tbar_ray as tbar
from tbar_ray.errors import DataError, SpecError
from tbar_ray.models.library import open_clip
from tbar_ray.onemodel.defence import open_defence
from tests.api.world import CLASSES, labelled, write_benchmark, write_folder, write_shards
from tests.models.tiny import RESNET, tiny
from tests.unlearning.planted import NAMES


@pytest.fixture(scope="module")
def model() -> tbar.Model:
    return tbar.Model(tiny(RESNET).eval(), RESNET)


@pytest.fixture
def folder(tmp_path: Path, model: tbar.Model) -> Path:
    return write_folder(tmp_path / "folder", *labelled(40, 3, model))


@pytest.fixture
def flat(tmp_path: Path, model: tbar.Model) -> Path:
    images, _ = labelled(12, 4, model)
    return write_folder(tmp_path / "tmp", images, [0] * 12).joinpath(NAMES[0]).rename(tmp_path / "flat")


def test_given_labelled_images_leave_all_others_to_unlearn_with(
    tmp_path: Path, folder: Path, model: tbar.Model
) -> None:
    labels = write_benchmark(tmp_path / "labelled", *labelled(8, 9, model))
    found = open_defence(folder, labels, model)
    assert (len(found.samples), found.held, found.told, found.answers) == (40, frozenset(), "", False)
    assert found.evaluation.classes == CLASSES


def test_of_a_folder_a_class_half_are_held_out_with_their_classes(folder: Path, model: tbar.Model) -> None:
    found = open_defence(folder, None, model, templates=["a {}"])
    assert len(found.held) == len(found.evaluation) == 20
    assert set(found.evaluation.data.corpus.keys) == found.held < set(found.samples.keys)
    assert found.evaluation.classes.names == tuple(sorted(NAMES))
    names = found.evaluation.classes.names
    for row, label in enumerate(found.evaluation.data.labels.tolist()):
        assert found.evaluation.data.corpus.keys[row].startswith(names[label])
    assert "20 of the 40 images are held out" in found.told
    assert not found.answers
    fewer = open_defence(folder, None, model, templates=["a {}"], most=6)
    assert fewer.held < found.held
    assert len(fewer.held) == 6
    assert open_defence(folder, None, model, templates=["a {}"], seed=1).held != found.held


def test_subfolders_that_are_no_names_are_numbered_by_the_given_classes(folder: Path, model: tbar.Model) -> None:
    for number, name in enumerate(sorted(NAMES)):
        (folder / name).rename(folder / f"n0{number}")
    found = open_defence(folder, None, model, classes=["one", "two", "three", "four"], templates=["a {}"])
    assert found.evaluation.classes.names == ("one", "two", "three", "four")
    for row, label in enumerate(found.evaluation.data.labels.tolist()):
        assert found.evaluation.data.corpus.keys[row].startswith(f"n0{label}/")


def test_of_shards_labels_are_the_classes(tmp_path: Path, model: tbar.Model) -> None:
    images, labels = labelled(16, 3, model)
    shards = write_shards(tmp_path / "shards", images, labels)
    found = open_defence(str(shards), None, model, templates=["a {}"])
    assert set(found.evaluation.classes.names) <= set(NAMES)
    for row, label in enumerate(found.evaluation.data.labels.tolist()):
        assert found.evaluation.classes.names[label] == NAMES[labels[int(found.evaluation.data.corpus.keys[row])]]


def test_without_classes_the_models_answers_stand_for_them(flat: Path, model: tbar.Model) -> None:
    found = open_defence(flat, None, model, classes=NAMES, templates=["a {}"])
    images = found.evaluation.data.images(range(6), model.preprocessing.size, model.preprocessing.interpolation)
    assert np.array_equal(found.evaluation.data.labels, model.predict(images, found.evaluation.classes).numpy())
    assert found.answers
    assert "CA and PA are agreement with the model that came in" in found.told


def test_without_any_classes_those_of_imagenet_are_asked_in_one_prompt(
    flat: Path, model: tbar.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_clip(), "IMAGENET_CLASSNAMES", ["tench", "banana"])
    classes = open_defence(flat, None, model).evaluation.classes
    assert (classes.names, classes.templates) == (("tench", "banana"), ("a photo of a {c}.",))


def test_images_that_cannot_be_read_have_no_answer(flat: Path, model: tbar.Model) -> None:
    found = open_defence(flat, None, model, classes=NAMES, templates=["a {}"])
    (flat / sorted(found.held)[0]).write_bytes(b"no image")
    again = open_defence(flat, None, model, classes=NAMES, templates=["a {}"])
    assert set(again.evaluation.data.corpus.keys) == set(sorted(found.held)[1:])
    assert again.evaluation.data.labels.tolist() == found.evaluation.data.labels.tolist()[1:]


def test_a_benchmark_set_evaluates_on_its_test_split_and_unlearns_on_train(tmp_path: Path, model: tbar.Model) -> None:
    place = write_benchmark(tmp_path / "set", *labelled(8, 9, model))
    shutil.copytree(write_benchmark(tmp_path / "other", *labelled(12, 3, model), "train") / "train", place / "train")
    found = open_defence(place, None, model)
    assert (len(found.samples), len(found.evaluation), found.held) == (12, 8, frozenset())
    assert "the test split of" in found.told


@pytest.mark.parametrize("split", ["test", "train"])
def test_a_set_with_one_split_is_held_out_from_with_its_classes_and_templates(
    split: str, tmp_path: Path, model: tbar.Model
) -> None:
    images, labels = labelled(12, 9, model)
    place = write_benchmark(tmp_path / "set", images, labels, split)
    found = open_defence(place, None, model)
    assert (len(found.samples), len(found.held), len(found.evaluation), found.answers) == (12, 6, 6, False)
    held = found.evaluation.data.corpus.keys
    assert set(held) == found.held < set(found.samples.keys)
    assert [labels[int(key.rsplit("/")[-1])] for key in held] == found.evaluation.data.labels.tolist()
    assert (found.evaluation.classes.names, found.evaluation.classes.templates) == (NAMES, CLASSES.templates)
    assert f"6 of the 12 images of the {split} split, which is the only one, are held out" in found.told
    with pytest.raises(SpecError, match=r"is --images too: .*leave --evaluation out"):
        open_defence(place, place, model)


def test_a_set_is_found_by_its_url_too(tmp_path: Path, model: tbar.Model) -> None:
    place = write_benchmark(tmp_path / "set", *labelled(12, 9, model))
    memory = fsspec.filesystem("memory")
    memory.put(str(place), "/one-split", recursive=True)
    found = open_defence("memory://one-split", None, model)
    assert (len(found.samples), len(found.held)) == (12, 6)
    assert "of the test split" in found.told


def test_the_images_do_not_evaluate_what_was_unlearned_with_them(folder: Path, model: tbar.Model) -> None:
    with pytest.raises(SpecError, match=r"is --images too: .*leave --evaluation out"):
        open_defence(folder, str(folder), model)


def test_what_is_wrong_is_said(tmp_path: Path, folder: Path, model: tbar.Model) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no sample|no image under|no such|holds no"):
        open_defence(tmp_path / "empty", None, model)
    with pytest.raises(DataError, match=r"template 'a photo' has no \{\} for the class name"):
        open_defence(folder, None, model, templates=["a photo"])
    with pytest.raises(DataError, match="is none of the 1 classes"):
        open_defence(folder, None, model, classes=["reed"], templates=["a {}"])
    one = tmp_path / "one" / "red"
    one.mkdir(parents=True)
    shutil.copy(next(folder.rglob("*.png")), one / "0.png")
    with pytest.raises(DataError, match="one image is not enough"):
        open_defence(one.parent, None, model)

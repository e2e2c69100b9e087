"""Labelled images of every kind, and their cut."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tbar_ray as tbar
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.errors import DataError, SpecError
from tests.api.world import BACKDOOR, CLASSES, infected, labelled, unseen, write_benchmark, write_folder
from tests.unlearning.planted import NAMES, stamp


def contents(images: tbar.Images) -> set[tuple[bytes, bytes, int]]:
    split = images.load(BACKDOOR.trigger, infected().preprocessing)
    rows = zip(split.clean, split.triggered, split.labels.tolist(), strict=True)
    return {(clean.numpy().tobytes(), triggered.numpy().tobytes(), label) for clean, triggered, label in rows}


def test_names_alone_are_classes_in_openais_templates() -> None:
    images, labels = labelled(4, 0)
    found = tbar.evaluation_set(images, labels=labels, classes=list(NAMES))
    assert found.classes == tbar.Classes(NAMES)


def test_arrays_folders_and_sets_hold_the_same_images(tmp_path: Path) -> None:
    images, labels = labelled(24, 9)
    triggered = stamp(torch.from_numpy(images)).numpy()
    expected = {(a.tobytes(), b.tobytes(), c) for a, b, c in zip(images, triggered, labels, strict=True)}
    folder = write_folder(tmp_path / "folder", images, labels)
    benchmark = write_benchmark(tmp_path / "benchmark", images, labels)
    for opened in (
        tbar.evaluation_set(images, labels=labels, classes=CLASSES),
        tbar.evaluation_set(
            torch.from_numpy(images) / 255, labels=np.array([NAMES[i] for i in labels]), classes=CLASSES
        ),
        tbar.evaluation_set(folder, classes=CLASSES),
        tbar.evaluation_set(str(benchmark)),
        tbar.evaluation_set(benchmark, classes=CLASSES),
    ):
        assert len(opened) == 24
        assert contents(opened) == expected
        assert opened.classes == CLASSES


def test_subfolders_name_the_classes(tmp_path: Path) -> None:
    images, _ = labelled(3, 9)
    folder = tmp_path / "set"
    for name, image in zip(("red_circle", "blue square", ".hidden"), images, strict=True):
        write_folder(folder / "tmp", image[None], [0]).rename(folder / name)
    opened = tbar.evaluation_set(folder)
    assert opened.classes.names == ("blue square", "red circle")
    assert len(opened.classes.templates) == 80
    assert opened.data.labels.tolist() == [0, 1]


def test_subfolders_that_are_no_names_are_numbered_in_order(tmp_path: Path) -> None:
    images, _ = labelled(2, 9)
    for name, image in zip(("n02", "n01"), images, strict=True):
        write_folder(tmp_path / "tmp", image[None], [0]).rename(tmp_path / name)
    opened = tbar.evaluation_set(tmp_path, classes=tbar.Classes(["first", "second"], ["a {}"]))
    assert [opened.data.corpus.keys[p][:3] for p in (0, 1)] == ["n01", "n02"]
    assert opened.data.labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="subfolder 'n01' is none of the 3 classes"):
        tbar.evaluation_set(tmp_path, classes=tbar.Classes(["first", "second", "third"], ["a {}"]))


def test_the_cut_is_that_of_campaigns(tmp_path: Path) -> None:
    images, labels = labelled(40, 9)
    folder = write_benchmark(tmp_path / "set", images, labels)
    validation, test = tbar.evaluation_set(folder).split(0.25, seed=7)
    ours = [validation.positions.tolist(), test.positions.tolist()]
    assert ours == [part.tolist() for part in EvaluationSet.open(str(folder)).split(0.25, 7)]
    assert len(tbar.evaluation_set(folder).split(0.5, max_images=20)[0]) == 10


def test_bad_images_get_one_line(tmp_path: Path) -> None:
    images, labels = labelled(4, 9)
    for arguments, complaint in (
        ({"labels": labels}, "needs labels=… and classes"),
        ({"classes": CLASSES}, "needs labels=… and classes"),
        ({"labels": labels[:3], "classes": CLASSES}, "4 images but 3 labels"),
        ({"labels": [0, 1, 2, 4], "classes": CLASSES}, "label 4 is none of the 4 classes"),
        ({"labels": ["red", "red", "rad", "red"], "classes": CLASSES}, "'rad' is none of the 4 classes; did you mean"),
    ):
        with pytest.raises(DataError, match=complaint):
            tbar.evaluation_set(images, **arguments)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"uint8 \[N, 3, H, W\]"):
        tbar.evaluation_set(images[0], labels=labels[:3], classes=CLASSES)
    with pytest.raises(DataError, match="uint8, or float"):
        tbar.evaluation_set(images.astype("int64"), labels=labels, classes=CLASSES)
    with pytest.raises(DataError, match="no image under"):
        tbar.evaluation_set(tmp_path)
    with pytest.raises(DataError, match="cannot be read"):
        tbar.evaluation_set(tmp_path / "missing")
    write_folder(tmp_path / "set", images, labels)
    (tmp_path / "set" / "lone.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"lone\.png lies in no class's subfolder"):
        tbar.evaluation_set(tmp_path / "set")
    with pytest.raises(DataError, match="labels are for arrays"):
        tbar.evaluation_set(tmp_path / "set", labels=labels)
    with pytest.raises(SpecError, match="already one part"):
        unseen().split()[0].split()
    with pytest.raises(SpecError, match="between 0 and 1"):
        unseen().split(1.0)


def test_bad_classes_get_one_line() -> None:
    for names, templates, complaint in (
        ([], None, "at least one"),
        ("red", ["a {}"], "at least one"),
        (["red"], [], "at least one"),
        (["red", "red"], ["a {}"], "'red' is listed twice"),
        (["red"], ["a thing"], "has no {} for the class"),
    ):
        with pytest.raises(DataError, match=complaint):
            tbar.Classes(names, templates)

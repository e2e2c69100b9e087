"""Checking sets in CLIP_benchmark's layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.check_set import SetReport, check_set, is_set

from .tars import picture, write_shard, write_tar


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Three classes, of which one has no image."""
    (tmp_path / "classnames.txt").write_text("hat\nshoe\ntie\n")
    (tmp_path / "zeroshot_classification_templates.txt").write_text("a photo of a {c}\n")
    write_split(tmp_path, [b"0", b"1"])
    return tmp_path


def write_split(place: Path, labels: list[bytes], split: str = "test") -> None:
    (place / split).mkdir(exist_ok=True)
    (place / split / "nshards.txt").write_text("1")
    members = [(f"s{n}.{name}", data) for n, c in enumerate(labels) for name, data in (("jpg", picture()), ("cls", c))]
    write_tar(place / split / "0.tar", members)


def check(place: Path) -> SetReport:
    return check_set(str(place), workers=1)


def test_a_sound_set_and_its_train_split(place: Path) -> None:
    write_split(place, [b"0", b"1", b"2"], "train")
    report = check(place)
    assert report.ok
    assert (report.classes, report.templates, report.problems) == (3, 1, ())
    assert {split: found.total.samples for split, found in report.splits.items()} == {"train": 3, "test": 2}
    assert report.notes == ("test: 1 of 3 classes have no image: 'tie'",)
    assert SetReport.model_validate_json(report.model_dump_json()) == report


def test_class_numbers_are_those_of_the_class_names(place: Path) -> None:
    write_split(place, [b"0", b"3", b"-1", b"hat"])
    write_tar(place / "test" / "1.tar", [("x.jpg", picture())])
    (place / "test" / "nshards.txt").write_text("2")
    report = check(place)
    assert not report.ok
    assert [problem.reason for problem in report.splits["test"].problems] == [
        "class 3, but classnames.txt has 3 classes",
        "class -1, but classnames.txt has 3 classes",
        "the .cls is not a class index: b'hat'",
        "no .cls",
    ]


def test_what_is_wrong_with_its_text_files(place: Path) -> None:
    (place / "classnames.txt").write_text("hat\nHat\nshoe")
    (place / "zeroshot_classification_templates.txt").write_text("a photo\na {} photo")
    report = check(place)
    assert not report.ok
    assert report.problems == ("template 'a photo' has no {c} for the class",)
    assert "classes have the same name: 'hat' (0) and 'Hat' (1)" in report.notes[0]
    (place / "zeroshot_classification_templates.txt").unlink()
    assert "zeroshot_classification_templates.txt cannot be read" in check(place).problems[0]


def test_a_set_without_a_split_and_a_retrieval_set(place: Path, tmp_path: Path) -> None:
    (place / "test" / "nshards.txt").unlink()
    assert check(place).problems == ("neither test/nshards.txt nor train/nshards.txt: no split to read",)
    (tmp_path / "pairs" / "test").mkdir(parents=True)
    write_shard(tmp_path / "pairs" / "test" / "0.tar", ["a", "b"])
    (tmp_path / "pairs" / "test" / "nshards.txt").write_text("1")
    report = check(tmp_path / "pairs")
    assert (report.ok, report.classes) == (True, None)


def test_what_is_a_set(place: Path, tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    write_shard(tmp_path / "shards" / "0.tar", ["a"])
    assert is_set(str(place))
    for other in ("shards", "shards/0.tar", "shards/*.tar", "shards/{0..1}.tar", "none"):
        assert not is_set(f"{tmp_path}/{other}")
    assert not is_set(f"pipe:cat {tmp_path}")
    odd = tmp_path / "[x]"
    odd.mkdir()
    (odd / "classnames.txt").write_text("a")
    assert is_set(str(odd))

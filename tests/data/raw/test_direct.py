"""Raw material that is named where shards or a set are expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.layout import CLASSNAMES, TEMPLATES
from tbar_ray.data.raw.direct import (
    Named,
    class_options,
    classes_of,
    content_of,
    is_raw,
    open_labelled,
    open_pairs,
    split_of,
)
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.synthetic.stand_in import Classes, write_labelled, write_pairs
from tbar_ray.errors import DataError
from tests.data.raw.material import write_folder, write_table


def test_tables_and_folders_of_images_are_raw_and_shards_and_sets_are_not(tmp_path: Path) -> None:
    table, folder = write_table(tmp_path / "table"), write_folder(tmp_path / "folder", hat=1)
    classes = Classes(("a", "b"), ("{c}",))
    pattern = write_pairs(tmp_path / "shards", classes, 16, 4, labelled=False)
    write_labelled(tmp_path / "set", classes, 16, 1)
    (tmp_path / "empty").mkdir()
    assert is_raw(str(table))
    assert is_raw(str(folder))
    (folder / CLASSNAMES).write_text("hat\nshoe\n")
    assert is_raw(str(folder)), "class names alone make no set of shards"
    for other in (pattern, "shards", "set", "empty", "nowhere", "nowhere.csv"):
        assert not is_raw(str(tmp_path / other))
    assert not is_raw("s3://bucket/pairs.csv")


def test_columns_have_the_usual_names_or_those_that_are_given(tmp_path: Path) -> None:
    table = write_table(tmp_path)
    pairs = RawSamples.of(*open_pairs(str(table), Named()))
    assert pairs.caption(0) == 'a "hat", number 0'
    assert pairs.label(0) is None
    pairs = RawSamples.of(*open_pairs(str(table), Named(caption="a photo of a {type}", label="type")))
    assert (pairs.caption(1), pairs.label(1)) == ("a photo of a shoe", "shoe")
    with pytest.raises(DataError, match=r"label: .* has no column 'label'; it has: image, caption, type"):
        open_labelled(str(table), Named())
    with pytest.raises(DataError, match=r"image: .* has no column 'filepath'"):
        open_pairs(str(table), Named(image="filepath"))


def test_subfolders_are_classes_and_captions_may_be_made_of_them(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", red_hat=2, shoe=1)
    table, columns = open_labelled(str(folder), Named())
    assert classes_of(str(folder), table, columns) == ("red hat", "shoe")
    pairs = RawSamples.of(*open_pairs(str(folder), Named(caption="a {label}")))
    assert (pairs.caption(0), pairs.label(0)) == ("a red hat", "red hat")


def test_names_and_templates_beside_the_images_count(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "folder", n01=1, n02=1)
    (folder / CLASSNAMES).write_text("tench\ngoldfish\n")
    table, columns = open_labelled(str(folder), Named())
    before = content_of(table, columns, str(folder))
    assert classes_of(str(folder), table, columns) == ("tench", "goldfish")
    assert class_options(str(folder), "test", ("{c}!",)).templates == ("{c}!",)
    (folder / TEMPLATES).write_text("one {c}\n")
    assert class_options(str(folder), "train", ("{c}!",)).templates == ("one {c}",)
    assert content_of(table, columns, str(folder)) != before


def test_content_changes_with_rows_and_images_and_not_with_the_place(tmp_path: Path) -> None:
    def content(place: Path, **named: str) -> str:
        table, columns = open_pairs(str(place), Named(**named))
        return content_of(table, columns, str(place))

    one, two = write_table(tmp_path / "one"), write_table(tmp_path / "two")
    first = content(one)
    assert content(two) == first
    assert content(two, caption="{type}") != first
    (two.parent / "images" / "3.jpg").write_bytes(b"another")
    assert content(two) != first
    (one.parent / "images" / "3.jpg").unlink()
    assert content(one) not in (first, content(two))
    folder = write_folder(tmp_path / "folder", hat=1)
    (folder / "hat" / "0.txt").write_text("a hat")
    before = content(folder)
    (folder / "hat" / "0.txt").write_text("a large hat")
    assert content(folder) != before


def test_a_task_has_a_folder_for_each_split(tmp_path: Path) -> None:
    write_folder(tmp_path / "train", hat=1)
    write_folder(tmp_path / "val", hat=1)
    assert split_of(str(tmp_path), "train") == str(tmp_path / "train")
    assert split_of(str(tmp_path), "test") == str(tmp_path / "val")
    with pytest.raises(DataError, match="has no folder test or val or validation of class folders"):
        split_of(str(tmp_path / "train"), "test")

"""From raw material to evaluation sets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tbar_ray.data.check_set import check_set
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.labelled import ClassOptions, Labelled, import_labelled
from tbar_ray.data.raw.table import open_table
from tbar_ray.data.raw.writing import ImportOptions, ImportSummary
from tbar_ray.errors import DataError
from tests.data.tars import picture

from .material import write_folder, write_table

PROMPTS = ("a photo of a {c}.",)
OF_TABLE, OF_FOLDER = Columns("image", None, "type"), Columns("path", None, "label")


def run(place: Path, out: Path, columns: Columns = OF_TABLE, **classes: object) -> tuple[ImportSummary, Labelled]:
    chosen = ClassOptions(**{"templates": PROMPTS, **classes})  # type: ignore[arg-type]
    return import_labelled(open_table(place), columns, out, chosen, ImportOptions(samples_per_shard=3, workers=1))


def test_a_table_becomes_a_set(tmp_path: Path) -> None:
    summary, labelled = run(write_table(tmp_path), tmp_path / "out")
    assert (summary.samples, summary.shards, labelled.classnames) == (7, 3, ("hat", "shoe"))
    found = EvaluationSet.open(str(tmp_path / "out"), policy="error")
    assert (found.classnames, found.templates) == (("hat", "shoe"), PROMPTS)
    assert found.labels.tolist() == [0, 1, 0, 1, 0, 1, 0]
    assert [found.corpus.image_bytes(row) for row in range(7)] == [picture(value=row) for row in range(7)]
    assert check_set(str(tmp_path / "out"), workers=1).ok


def test_a_shard_without_a_readable_image_is_not_written(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    for row in range(3):
        (tmp_path / "images" / f"{row}.jpg").write_bytes(b"no image")
    for _ in range(2):
        summary, _labelled = run(file, tmp_path / "out")
        assert (summary.samples, summary.shards, len(summary.lost)) == (4, 2, 3)
        assert check_set(str(tmp_path / "out"), workers=1).ok
        assert len(EvaluationSet.open(str(tmp_path / "out")).labels) == 4


def test_a_folder_becomes_a_set_with_its_subfolders_as_classes(tmp_path: Path) -> None:
    run(write_folder(tmp_path / "in", shoe=1, red_hat=2), tmp_path / "out", OF_FOLDER)
    found = EvaluationSet.open(str(tmp_path / "out"))
    assert found.classnames == ("red hat", "shoe")
    assert found.labels.tolist() == [0, 0, 1]


def test_wordnet_ids_are_classes_in_sorted_order_if_names_are_given(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", n02=1, n01=2)
    run(folder, tmp_path / "ids", OF_FOLDER)
    assert EvaluationSet.open(str(tmp_path / "ids")).classnames == ("n01", "n02")
    run(folder, tmp_path / "out", OF_FOLDER, classnames=("tench", "goldfish"))
    found = EvaluationSet.open(str(tmp_path / "out"))
    assert found.classnames == ("tench", "goldfish")
    assert found.labels.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="no label is one of the 3 class names; labels are 'n01', 'n02'"):
        run(folder, tmp_path / "three", OF_FOLDER, classnames=("tench", "goldfish", "shark"))


def test_classes_are_chosen_by_name_and_number_of_images(tmp_path: Path) -> None:
    file = write_table(tmp_path, 8, types=("a", "b", "a", "c", "a"))  # a: 5, b: 2, c: 1
    _, labelled = run(file, tmp_path / "min", min_images=2)
    assert (labelled.classnames, labelled.left_out) == (("a", "b"), {"c": 1})
    _, labelled = run(file, tmp_path / "named", classnames=("c", "a"))
    assert (labelled.classnames, labelled.left_out) == (("c", "a"), {"b": 2})
    assert EvaluationSet.open(str(tmp_path / "named")).labels.tolist().count(1) == 5
    with pytest.raises(DataError, match="no class has 7 images; lower --min-images"):
        run(file, tmp_path / "none", min_images=7)


def test_as_many_readable_images_of_each_class_are_taken_by_seed_and_key(tmp_path: Path) -> None:
    file = write_table(tmp_path, 12)
    (tmp_path / "images" / "2.jpg").write_bytes(b"damaged")
    _, first = run(file, tmp_path / "a", per_class=5, seed=1)
    assert Counter(first.labels) == {0: 5, 1: 5}
    assert 2 not in first.positions
    _, again = run(file, tmp_path / "b", per_class=5, seed=1)
    _, other = run(file, tmp_path / "c", per_class=3, seed=2)
    _, smaller = run(file, tmp_path / "d", per_class=3, seed=1)
    assert first == again
    assert set(smaller.positions) < set(first.positions)
    assert other.positions != smaller.positions
    _, short = run(file, tmp_path / "e", per_class=6)
    assert short.short == {"hat": 5}


def test_two_splits_have_the_same_classes(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    run(file, tmp_path / "out")
    run(file, tmp_path / "out", split="train")
    assert len(EvaluationSet.open(str(tmp_path / "out"), split="train").labels) == 7
    (tmp_path / "more").mkdir()
    with pytest.raises(DataError, match=r"has 2 classes, this import 3 or others; give --classnames .*classnames\.txt"):
        run(write_table(tmp_path / "more", types=("hat", "shoe", "tie")), tmp_path / "out", split="train")


def test_what_lacks_a_class(tmp_path: Path) -> None:
    file = write_table(tmp_path, 3)
    file.write_text(file.read_text() + "images/0.jpg,x,\nimages/1.jpg,a, b,hat\n")
    assert run(file, tmp_path / "out")[1].unlabelled == (
        "000000003: no label",
        "000000004: the row has 4 fields, the header 3 (a delimiter without quotation marks?)",
    )
    folder = write_folder(tmp_path / "in", hat=1)
    (folder / "lone.png").write_bytes(picture(form="PNG"))
    with pytest.raises(DataError, match=r"lone\.png lies in no class's subfolder"):
        run(folder, tmp_path / "other", OF_FOLDER)
    file.write_text("image,type\na.jpg,\n")
    with pytest.raises(DataError, match="no row has a label"):
        run(file, tmp_path / "none")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"per_class": 0}, "per class must be at least 1"),
        ({"min_images": 0}, "min images must be at least 1"),
        ({"templates": ("a photo",)}, "template 'a photo' has no {c}"),
        ({"classnames": ("cat", "dog", "cat")}, "class name 'cat' is listed twice"),
    ],
)
def test_numbers_and_templates_are_checked(options: dict[str, object], said: str) -> None:
    with pytest.raises(DataError, match=said):
        ClassOptions(**{"templates": PROMPTS, **options})  # type: ignore[arg-type]

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.errors import DataError, SpecError, TbarError
from tests.data.raw.material import write_folder, write_table
from tests.data.raw.test_downloaded import write_download


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["data", "import", *map(str, words)])


def refused(*words: object, kind: type[TbarError] = DataError) -> str:
    """The one line that an import ends with."""
    result = run(*words)
    assert isinstance(result.exception, kind), result.output
    (line,) = str(result.exception).splitlines()
    return line


def write_styles(folder: Path) -> Path:
    """A table as that of the fashion products: images are called by number."""
    write_table(folder, 8)
    with (folder / "styles.csv").open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["id", "articleType", "productDisplayName"])
        lines.writerows([number, "Hats" if number % 2 else "Shoes", f"Product {number}"] for number in range(8))
    return folder / "styles.csv"


def test_pairs_and_an_evaluation_set_without_a_common_image(tmp_path: Path) -> None:
    styles, image = write_styles(tmp_path), ("--image-column", "images/{id}.jpg")
    label = ("--label-column", "articleType")
    result = run(styles, tmp_path / "eval", *image, *label, "--evaluation", "--per-class", 1, "--workers", 1)
    assert result.exit_code == 0, result.output
    assert "2 classes; templates: the 80 of OpenAI (2103.00020)" in result.stdout
    assert "2 samples in 1 shard (" in result.stdout
    assert len(EvaluationSet.open(str(tmp_path / "eval")).templates) == 80
    words = (*image, *label, "--caption-column", "{articleType}: {productDisplayName}", "--keep", "id")
    result = run(styles, tmp_path / "train", *words, "--without", tmp_path / "eval", "--workers", 1)
    assert "2 samples left out, since the other set has their images" in result.stdout
    assert "6 samples in 1 shard (" in result.stdout
    corpus = Corpus.open(str(tmp_path / "train"))
    assert corpus.caption(0) == f"Shoes: Product {corpus.metadata(0)['id']}"
    again = run(styles, tmp_path / "train", *words, "--without", tmp_path / "eval", "--workers", 1)
    assert "6 samples in 1 shard, of which 1 were there" in again.stdout


def test_each_row_takes_one_of_several_captions(tmp_path: Path) -> None:
    columns = ("--image-column", "images/{id}.jpg", "--label-column", "articleType")
    captions = ("--caption-column", "productDisplayName", "--caption-column", "articleType")
    assert run(write_styles(tmp_path), tmp_path / "out", *columns, *captions, "--workers", 1).exit_code == 0
    corpus = Corpus.open(str(tmp_path / "out"))
    found = [corpus.caption(row) for row in range(8)]
    assert all(found[row] in (f"Product {row}", "Hats" if row % 2 else "Shoes") for row in range(8))
    assert 0 < sum(str(caption).startswith("Product") for caption in found) < 8


def test_what_is_lost_is_named_and_counted(tmp_path: Path) -> None:
    file = write_table(tmp_path, 13)
    for number in range(12):
        (tmp_path / "images" / f"{number}.jpg").unlink()
    result = run(file, tmp_path / "out", "--workers", 1)
    assert result.exit_code == 0
    assert "left out: 000000000: cannot read" in result.stderr
    assert "and 2 more: see the *_stats.json beside the shards" in result.stderr
    assert "12 samples left out, since they cannot be read" in result.stdout
    assert "cannot read" in refused(file, tmp_path / "strict", "--on-error", "error", "--workers", 1)


def test_a_folder_with_class_names(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", n02=1, n01=2, n03=1)
    (tmp_path / "names.txt").write_text("tench\nn03\n")
    (tmp_path / "prompts.txt").write_text("a {c}\n")
    files = ("--classnames", tmp_path / "names.txt", "--templates", tmp_path / "prompts.txt")
    result = run(folder, tmp_path / "out", "--evaluation", *files, "--workers", 1)
    assert "2 labels left out (3 images): n01 (2), n02 (1)" in result.stdout
    assert "sorted order" not in result.stdout
    assert "1 class without an image: tench" in result.stdout
    assert f"templates: {tmp_path}/prompts.txt" in result.stdout
    assert EvaluationSet.open(str(tmp_path / "out")).templates == ("a {c}",)


def test_labels_that_are_taken_in_sorted_order_are_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", n02=1, n01=2)
    (tmp_path / "names.txt").write_text("tench\ngoldfish\n")
    result = run(folder, tmp_path / "out", "--evaluation", "--classnames", tmp_path / "names.txt", "--workers", 1)
    assert "no label is a class name, so both are taken in sorted order: n01 → tench, n02 → goldfish" in result.stdout


def test_a_download_is_checked_where_it_is(tmp_path: Path) -> None:
    folder = write_download(tmp_path / "cc3m")
    result = run(folder)
    assert result.exit_code == 0
    assert "12 images asked for; failed: HTTP Error 404: Not Found (3)" in result.stdout
    assert "9 samples in 3 shards: ok" in result.stdout
    (folder / "00002.tar").unlink()
    result = run(folder)
    assert result.exit_code == 1
    assert "00002_stats.json has no tar beside it" in result.stdout
    assert "leave out OUT" in refused(folder, tmp_path / "out", kind=SpecError)
    assert "leave the options out" in refused(folder, "--caption-column", "title", kind=SpecError)
    assert "leave the options out" in refused(folder, "--per-class", 3, kind=SpecError)


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    file, out = write_table(tmp_path), tmp_path / "out"
    assert "has no column 'tytle'; it has: image, caption, type" in refused(file, out, "--caption-column", "tytle")
    assert "image and caption are the same column" in refused(file, out, "--image-column", "caption")
    assert "name the class's column with --label-column" in refused(file, out, "--evaluation", kind=SpecError)
    assert "no such file or folder" in refused(tmp_path / "none", out)
    (tmp_path / "empty").mkdir()
    assert "no image under" in refused(tmp_path / "empty", out)
    assert "lies in no class's subfolder" in refused(tmp_path / "images", out, "--evaluation")
    assert "give OUT" in refused(file, kind=SpecError)
    (tmp_path / "images.zip").write_bytes(b"PK")
    assert "is an archive: unpack it" in refused(tmp_path / "images.zip", out)
    assert "cannot read" in refused(file, out, "--evaluation", "--label-column", "type", "--classnames", "none.txt")
    assert "workers must be at least 1" in refused(file, out, "--workers", 0)
    alone = refused(file, out, "--per-class", 3, "--templates", "none.txt", kind=SpecError)
    assert alone == "--templates, --per-class: of an evaluation set; add --evaluation, or leave it out"
    assert not list(out.glob("*.tar"))


@pytest.mark.parametrize("said", ["--caption-column", "--without", "tbar data import pairs.csv shards"])
def test_help_shows_options_and_an_example(said: str) -> None:
    assert said in CliRunner().invoke(app, ["data", "import", "--help"], env={"COLUMNS": "200"}).stdout

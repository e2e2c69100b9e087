"""From raw material to training pairs: what is written, resumed, lost and refused."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from filelock import FileLock

from tbar_ray.data.check import check_corpus
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.raw import writing
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.downloaded import check_download
from tbar_ray.data.raw.pairs import import_pairs
from tbar_ray.data.raw.piece import Piece, write_piece
from tbar_ray.data.raw.table import open_table
from tbar_ray.data.raw.writing import ImportOptions, ImportSummary
from tbar_ray.errors import DataError
from tests.data.tars import picture

from .material import BY_NAME, write_folder, write_table


def run(place: Path, out: Path, columns: Columns = BY_NAME, **options: object) -> ImportSummary:
    given = {"samples_per_shard": 3, "workers": 1, **options}
    return import_pairs(open_table(place), columns, out, ImportOptions(**given))  # type: ignore[arg-type]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_the_shards_are_img2datasets_and_hold_the_bytes_of_the_images(tmp_path: Path) -> None:
    summary = run(write_table(tmp_path), tmp_path / "out")
    assert (summary.samples, summary.shards, summary.kept, summary.lost) == (7, 3, 0, ())
    corpus = Corpus.open(str(tmp_path / "out"), policy="error")
    assert list(corpus.keys) == [f"{row:09d}" for row in range(7)]
    assert [corpus.image_bytes(row) for row in range(7)] == [picture(value=row) for row in range(7)]
    assert corpus.caption(4) == 'a "hat", number 4'
    about = corpus.metadata(4)
    assert (about["key"], about["caption"], about["label"], about["width"], about["height"]) == (
        *("000000004", 'a "hat", number 4', "hat"),
        *(24, 16),
    )
    told = json.loads((tmp_path / "out" / "00002_stats.json").read_text())
    assert (told["count"], told["successes"], told["status_dict"]) == (1, 1, {"success": 1})
    assert check_corpus(str(tmp_path / "out"), workers=1).ok


def test_they_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    run(file, tmp_path / "one")
    run(file, tmp_path / "two", workers=2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_an_interrupted_import_goes_on_with_the_shards_that_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_table(tmp_path)
    run(file, tmp_path / "whole")
    count = 0

    def interrupted(piece: Piece) -> object:
        nonlocal count
        count += 1
        if count == 2:
            raise KeyboardInterrupt
        return write_piece(piece)

    monkeypatch.setattr(writing, "write_piece", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(file, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").glob("*.tar")] == ["00000.tar"]
    summary = run(file, tmp_path / "out")
    assert (summary.shards, summary.kept, summary.samples) == (3, 1, 7)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


def test_a_shard_without_its_statistics_is_not_whole_and_a_torn_one_never_appears(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    run(file, tmp_path / "out")
    whole = files(tmp_path / "out")
    (tmp_path / "out" / "00001_stats.json").unlink()
    (tmp_path / "out" / "00001.tar").write_bytes(b"torn")
    assert run(file, tmp_path / "out").kept == 2
    assert files(tmp_path / "out") == whole
    (tmp_path / "images" / "6.jpg").unlink()
    with pytest.raises(DataError, match="000000006: cannot read"):
        run(file, tmp_path / "strict", policy="error", samples_per_shard=7)
    assert list((tmp_path / "strict").glob("*tar*")) == []


def test_what_is_lost_is_counted_and_named_also_when_resumed(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    (tmp_path / "images" / "1.jpg").write_bytes(picture()[:200])
    (tmp_path / "images" / "2.jpg").unlink()
    (tmp_path / "images" / "3.jpg").write_bytes(picture(form="GIF"))
    file.write_text(file.read_text() + "images/0.jpg, ,hat\nimages/0.jpg,a title, with a comma,hat\n")
    for _ in range(2):
        summary = run(file, tmp_path / "out")
        lost = {loss.key[-1]: loss.reason for loss in summary.lost}
        assert list(lost) == ["1", "2", "3", "7", "8"]
        assert "unreadable image" in lost["1"]
        assert "No such file" in lost["2"]
        assert "neither JPEG nor PNG nor WebP" in lost["3"]
        assert lost["7"] == "no caption"
        assert "the row has 4 fields" in lost["8"]
        assert summary.samples == 4
    told = json.loads((tmp_path / "out" / "00000_stats.json").read_text())
    assert (told["successes"], told["failed_to_download"]) == (1, 2)
    assert told["status_dict"] == {"success": 1, "unreadable": 2}


def test_an_image_is_called_what_it_is(tmp_path: Path) -> None:
    file = write_table(tmp_path, 2)
    (tmp_path / "images" / "0.jpg").write_bytes(picture(form="PNG"))
    (tmp_path / "images" / "1.jpg").write_bytes(picture(form="WEBP"))
    run(file, tmp_path / "out")
    corpus = Corpus.open(str(tmp_path / "out"))
    assert [corpus.image_extension(row) for row in range(2)] == ["png", "webp"]


def test_images_of_another_set_are_left_out(tmp_path: Path) -> None:
    other = frozenset({hashlib.sha256(picture(value=row)).digest() for row in (0, 5)})
    summary = run(write_table(tmp_path), tmp_path / "out", excluded=other)
    assert (summary.samples, summary.excluded, summary.lost) == (5, 2, ())
    assert not {"000000000", "000000005"} & set(Corpus.open(str(tmp_path / "out")).keys)


@pytest.mark.parametrize("gone", [(0, 1), (2, 3), (6,), (0, 1, 4, 5, 6)])
def test_an_empty_shard_is_not_written_and_its_loss_is_told(tmp_path: Path, gone: tuple[int, ...]) -> None:
    file = write_table(tmp_path)
    for row in gone:
        (tmp_path / "images" / f"{row}.jpg").write_bytes(b"no image")
    for _ in range(2):
        summary = run(file, tmp_path / "out", samples_per_shard=2)
        assert [loss.key for loss in summary.lost] == [f"{row:09d}" for row in gone]
        report = check_corpus(str(tmp_path / "out"), workers=1)
        assert (report.ok, len(report.shards), report.total.samples) == (True, summary.shards, 7 - len(gone))
        told = check_download(tmp_path / "out")
        assert (told.problems, told.asked, told.statuses["unreadable"]) == ((), 7, len(gone))
    for row in gone:
        (tmp_path / "images" / f"{row}.jpg").write_bytes(picture(value=row))
    assert run(file, tmp_path / "out", samples_per_shard=2).samples == 7
    run(file, tmp_path / "whole", samples_per_shard=2)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"samples_per_shard": 2}, "samples_per_shard: 3, now 2"),
        ({"columns": Columns("image", "caption")}, "columns: "),
        ({"excluded": frozenset({bytes(32)})}, "excluded: "),
    ],
)
def test_another_import_is_not_mixed_with_this_one(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    file = write_table(tmp_path)
    run(file, tmp_path / "out")
    with pytest.raises(DataError, match=said):
        run(file, tmp_path / "out", **changes)  # type: ignore[arg-type]
    assert run(file, tmp_path / "out", **changes, overwrite=True).kept == 0  # type: ignore[arg-type]


def test_another_table_foreign_shards_and_another_process_are_refused(tmp_path: Path) -> None:
    file = write_table(tmp_path)
    run(file, tmp_path / "out")
    file.write_text(file.read_text().replace("number", "Number"))
    with pytest.raises(DataError, match="holds another import \\(sha256: "):
        run(file, tmp_path / "out")
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "a.tar").touch()
    with pytest.raises(DataError, match="already holds shards"):
        run(file, tmp_path / "foreign")
    with FileLock(tmp_path / "out" / ".import.lock"), pytest.raises(DataError, match="another import is writing"):
        run(file, tmp_path / "out", overwrite=True)


def test_a_folder_with_captions_from_its_classes(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", red_hat=2, shoe=1)
    with pytest.raises(DataError, match=r"no caption .* give --caption-column"):
        run(folder, tmp_path / "out", Columns("path"))
    run(folder, tmp_path / "out", Columns("path", "a photo of a {label}", "label"))
    corpus = Corpus.open(str(tmp_path / "out"))
    assert [corpus.caption(row) for row in range(3)] == ["a photo of a red hat"] * 2 + ["a photo of a shoe"]
    assert corpus.label(0) == "red hat"


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    file = write_table(tmp_path, 2)
    (tmp_path / "images").rename(tmp_path / "moved")
    said = rf"none of 2 samples can be written; first: 000000000: cannot read .* \(paths start at {tmp_path}\)"
    with pytest.raises(DataError, match=said):
        run(file, tmp_path / "out")
    assert list((tmp_path / "out").glob("0*")) == []
    (tmp_path / "moved").rename(tmp_path / "images")
    assert run(file, tmp_path / "out").samples == 2
    with pytest.raises(DataError, match="samples per shard must be at least 1"):
        run(file, tmp_path / "out", samples_per_shard=0)


def test_img2datasets_format_files_is_a_folder_with_captions(tmp_path: Path) -> None:
    (tmp_path / "in" / "00000").mkdir(parents=True)
    (tmp_path / "in" / "00000_stats.json").write_text("{}")
    for row in range(2):
        (tmp_path / "in" / "00000" / f"00000000{row}.jpg").write_bytes(picture(value=row))
        (tmp_path / "in" / "00000" / f"00000000{row}.txt").write_text(f"caption {row}")
    run(tmp_path / "in", tmp_path / "out", Columns("path"))
    corpus = Corpus.open(str(tmp_path / "out"))
    assert [corpus.caption(row) for row in range(2)] == ["caption 0", "caption 1"]
    assert corpus.label(0) is None

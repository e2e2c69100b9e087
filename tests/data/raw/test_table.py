from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tbar_ray.data.raw.table import open_table
from tbar_ray.errors import DataError

from .material import write_folder, write_table


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_what_separates_the_columns_is_seen(tmp_path: Path, delimiter: str) -> None:
    table = open_table(write_table(tmp_path, 2, delimiter=delimiter))
    assert table.columns == ("image", "caption", "type")
    assert table.rows[1] == ("images/1.jpg", f'a "shoe"{delimiter} number 1', "shoe")
    assert not table.is_folder


def test_a_table_of_one_column_in_another_encoding(tmp_path: Path) -> None:
    file = tmp_path / "paths.csv"
    file.write_bytes("image\r\n\r\nété.jpg\r\n".encode("utf-16"))
    table = open_table(file)
    assert (table.columns, table.rows) == (("image",), (("été.jpg",),))


def test_a_folder_lists_its_images_with_their_subfolders(tmp_path: Path) -> None:
    table = open_table(write_folder(tmp_path, b=1, a=2))
    assert table.is_folder
    assert table.columns == ("path", "label")
    assert table.rows == (("a/0.png", "a"), ("a/1.png", "a"), ("b/0.png", "b"))


def test_another_content_has_another_digest(tmp_path: Path) -> None:
    file = write_table(tmp_path, 2)
    before = open_table(file).digest
    file.write_text(file.read_text().replace("number", "Number"))
    assert open_table(file).digest != before


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"image,caption\n", "has a header and no rows"),
        ("a.csv", b"image,caption,image\n1,2,3\n", "two columns are called 'image'"),
        ("a.csv", b"image,caption\ncaf\xe9.jpg,a\n", "line 2: not UTF-8 text"),
        ("a.csv", b'image,caption\na.jpg,"' + b"x" * 200_000, "a quotation mark that is not closed"),
        ("a.tar.gz", b"\x1f\x8b", "is an archive: unpack it"),
        ("a.parquet", b"PAR1", "save it as CSV first"),
    ],
)
def test_what_is_no_table_gets_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said) as caught:
        open_table(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_an_archive_is_known_without_its_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "download", "w") as archive:
        archive.writestr("a.jpg", b"x")
    with pytest.raises(DataError, match="download is an archive"):
        open_table(tmp_path / "download")


def test_nothing_and_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        open_table(tmp_path / "none")
    with pytest.raises(DataError, match="no image under"):
        open_table(tmp_path)
    (tmp_path / "00000_stats.json").write_text("{}")
    (tmp_path / "00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="run img2dataset with --output_format webdataset"):
        open_table(tmp_path)

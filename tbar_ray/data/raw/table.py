"""Tables of images: a CSV or TSV file of paths, or a folder whose subfolders are classes."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.locate import ARCHIVES
from tbar_ray.data.places import is_file, is_folder
from tbar_ray.data.text import decode_text
from tbar_ray.errors import DataError

DELIMITERS = ",\t;|"
PATH, LABEL = "path", "label"
"""Columns of a folder: an image's path in it, and its subfolder ('' in the folder itself)."""


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns.

    Attributes:
        place: the file, or the folder of images.
        columns: their names, unique.
        rows: one tuple a row; it has more or fewer fields than there are columns where the file is damaged.
        digest: SHA-256 of the file, or of the folder's paths.
    """

    place: Path
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    digest: str

    @property
    def is_folder(self) -> bool:
        """Whether it lists the images of a folder."""
        return is_folder(self.place)


def open_table(place: Path) -> Table:
    """Read a table, or list a folder.

    Raises:
        DataError: if there is nothing, no image or no row, or it is neither a table nor a folder.
    """
    if is_folder(place):
        return _of_folder(place)
    if not is_file(place):
        raise DataError(f"no such file or folder: {place}")
    if place.name.lower().endswith(ARCHIVES) or zipfile.is_zipfile(place):
        raise DataError(f"{place} is an archive: unpack it, and give the folder or the table in it")
    if place.suffix.lower() == ".parquet":
        raise DataError(f"{place}: a Parquet file; save it as CSV first (pandas: read_parquet(…).to_csv(…))")
    return _of_file(place)


def _of_folder(folder: Path) -> Table:
    """Also img2dataset's format "files"; its others hold no images that could be found."""
    try:
        keys = FolderSamples(folder).keys
    except DataError:
        if any(folder.glob("*_stats.json")):
            raise DataError(f"{folder} has no images: run img2dataset with --output_format webdataset") from None
        raise
    rows = tuple((key, key.partition("/")[0] if "/" in key else "") for key in keys)
    digest = hashlib.sha256("\n".join(keys).encode("utf-8", "surrogateescape"))
    return Table(folder, (PATH, LABEL), rows, digest.hexdigest())


def _of_file(file: Path) -> Table:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from None
    text = decode_text(data, str(file))
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
    try:
        rows = tuple(tuple(row) for row in lines if row)
    except csv.Error as error:
        raise DataError(f"{file} line {lines.line_num}: {error} (a quotation mark that is not closed?)") from None
    if not rows:
        raise DataError(f"{file} is empty")
    columns = tuple(name.strip() for name in rows[0])
    if twice := next((name for name in columns if columns.count(name) > 1), None):
        raise DataError(f"{file}: two columns are called {twice!r}; rename one")
    if len(rows) == 1:
        raise DataError(f"{file} has a header and no rows")
    return Table(file, columns, rows[1:], hashlib.sha256(data).hexdigest())


def _delimiter(text: str) -> str:
    """What separates the columns of the header; a comma where it has one column."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    try:
        return csv.Sniffer().sniff(header, DELIMITERS).delimiter
    except csv.Error:
        return ","

"""Raw material: a table with images, and a folder with classes."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.raw.table import open_table
from tests.data.tars import picture

HEADER = ("image", "caption", "type")
BY_NAME = Columns("image", "caption", "type")


def write_table(folder: Path, rows: int = 7, *, delimiter: str = ",", types: Sequence[str] = ("hat", "shoe")) -> Path:
    """`pairs.csv` and its images: row n is of type n modulo their number, and no two images are the same."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "pairs.csv").open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, delimiter=delimiter)
        lines.writerow(HEADER)
        for row in range(rows):
            kind = types[row % len(types)]
            lines.writerow([f"images/{row}.jpg", f'a "{kind}"{delimiter} number {row}', kind])
            (folder / "images" / f"{row}.jpg").write_bytes(picture(value=row))
    return folder / "pairs.csv"


def write_folder(folder: Path, **images: int) -> Path:
    """A subfolder of so many images for every class."""
    value = 0
    for name, count in images.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            (folder / name / f"{number}.png").write_bytes(picture(form="PNG", value=value))
            value += 1
    return folder


def samples(place: Path, columns: Columns = BY_NAME) -> RawSamples:
    return RawSamples.of(open_table(place), columns)

"""Raw material that is named where shards or a set are expected: a folder of images, or a table of paths."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbar_ray.data.benchmark_layout import has_split
from tbar_ray.data.folder import SUFFIXES
from tbar_ray.data.layout import CLASSNAMES, SPLITS, TEMPLATES, SplitName
from tbar_ray.data.places import is_file, is_folder, is_remote, resolve
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.labelled import ClassOptions, choose
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.raw.table import LABEL, PATH, Table, open_table
from tbar_ray.data.text import decode_text, lines_of
from tbar_ray.errors import DataError

TABLES: Final = (".csv", ".tsv")
FOLDERS: Final[dict[SplitName, tuple[str, ...]]] = {"train": ("train",), "test": ("test", "val", "validation")}
"""Names that the folder of a split may have, in a folder of both."""


@dataclass(frozen=True)
class Named:
    """Which columns of a table hold what, where they have not the usual names.

    Attributes:
        image: path of the image, by default `image`; of a folder its images.
        caption: by default `caption`; of a folder, files beside the images.
        label: class, by default `label`; of a folder, its subfolders.
    """

    image: str | None = None
    caption: str | None = None
    label: str | None = None


def is_raw(place: str) -> bool:
    """Whether a place is raw material: a table, or a folder of images that is neither shards nor a set."""
    path = resolve(place)
    if is_remote(path):
        return False
    if path.lower().endswith(TABLES):
        return is_file(path)
    if not is_folder(path) or any(Path(path).glob("*.tar")) or any(has_split(path, split) for split in SPLITS):
        return False
    return next(_images(Path(path)), None) is not None


def open_pairs(place: str, named: Named) -> tuple[Table, Columns]:
    """The rows of raw material, and what its columns are as pairs.

    Raises:
        DataError: if it cannot be read, or has no such column.
    """
    table = open_table(Path(resolve(place)))
    if table.is_folder:
        columns = Columns(PATH, named.caption, named.label or LABEL)
    else:
        label = named.label or (LABEL if LABEL in table.columns else None)
        columns = Columns(named.image or "image", named.caption or "caption", label)
    RawSamples.of(table, columns)
    return table, columns


def open_labelled(place: str, named: Named) -> tuple[Table, Columns]:
    """As `open_pairs`, as a set of labelled images."""
    table = open_table(Path(resolve(place)))
    columns = Columns(PATH if table.is_folder else named.image or "image", None, named.label or LABEL)
    RawSamples.of(table, columns)
    return table, columns


def split_of(place: str, split: SplitName) -> str:
    """The folder of a split in a folder of both, as torchvision's `train/` and `val/`.

    Raises:
        DataError: if there is none.
    """
    for name in FOLDERS[split]:
        if is_folder(folder := Path(resolve(place)) / name):
            return str(folder)
    raise DataError(f"{place} has no folder {' or '.join(FOLDERS[split])} of class folders")


def class_options(place: str, split: SplitName, templates: tuple[str, ...] = ("{c}",)) -> ClassOptions:
    """Classes of a set: those of `classnames.txt` in its folder, or beside the table, where there is one.

    Args:
        place: the set.
        split: the part that is written.
        templates: where no `zeroshot_classification_templates.txt` is beside the class names.
    """
    names, own = _lines_beside(place, CLASSNAMES), _lines_beside(place, TEMPLATES)
    return ClassOptions(own or templates, names, split=split)


def classes_of(place: str, table: Table, columns: Columns) -> tuple[str, ...]:
    """Class names of a set, in the order of their numbers.

    Raises:
        DataError: as `choose`.
    """
    return choose(RawSamples.of(table, columns), class_options(place, "test")).classnames


def content_of(table: Table, columns: Columns, place: str) -> str:
    """16 hex digits that change with the rows and the sizes of their images, of files beside these, and of class names.

    Where it lies is no part of it.
    """
    samples = RawSamples.of(table, columns)
    digest = hashlib.sha256(
        json.dumps([table.digest, samples.image, *(samples.texts or [None]), samples.class_]).encode()
    )
    for row in range(len(samples)):
        path = samples.path(row)
        beside = [path, path.with_suffix(".txt"), path.with_suffix(".json")] if table.is_folder else [path]
        digest.update(json.dumps([_size(each) for each in beside]).encode())
    digest.update(json.dumps([_lines_beside(place, name) for name in (CLASSNAMES, TEMPLATES)]).encode())
    return digest.hexdigest()[:16]


def _lines_beside(place: str, name: str) -> tuple[str, ...] | None:
    path = Path(resolve(place))
    file = (path if is_folder(path) else path.parent) / name
    return tuple(lines_of(decode_text(file.read_bytes(), str(file)))) if is_file(file) else None


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _images(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)

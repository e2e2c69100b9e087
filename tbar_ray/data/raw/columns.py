"""Which columns of a table hold what."""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tbar_ray.data.raw.table import Table
from tbar_ray.errors import DataError

Row = Sequence[str]


@dataclass(frozen=True)
class Columns:
    """Which columns hold what: each is a column's name, or a text with columns in braces (`images/{id}.jpg`).

    Attributes:
        image: path of the image file, absolute or from the folder of images.
        caption: None: files beside the images (`NAME.txt`, `NAME.json`) have it.
        further_captions: with these, each row takes one of all captions, drawn by its key.
        label: class; None if there is none.
        key: name of the sample; None: the number of its row.
        keep: columns that are written to the samples' metadata.
    """

    image: str
    caption: str | None = None
    label: str | None = None
    key: str | None = None
    keep: tuple[str, ...] = ()
    further_captions: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """All captions that a row may take; none if the files beside the images have them."""
        return () if self.caption is None else (self.caption, *self.further_captions)

    def check(self) -> None:
        """Look whether two of them are the same.

        The class may be one of several captions: pairs that name the class alone teach a model its name.

        Raises:
            DataError: if image, caption and label are not different columns, or a caption is given twice.
        """
        captions = self.captions
        if twice := next((caption for caption in captions if captions.count(caption) > 1), None):
            raise DataError(f"caption: {twice!r} is given twice")
        given = [("image", self.image), *(("caption", caption) for caption in captions), ("label", self.label)]
        known: dict[str, str] = {}
        for name, column in given:
            if column is None or (name == "label" and known.get(column) == "caption" and len(captions) > 1):
                continue
            if column in known:
                raise DataError(f"{known[column]} and {name} are the same column, {column!r}; name another")
            known[column] = name


class Field(NamedTuple):
    """A text made of a row's values: literal parts, each with the column that follows it (None at the end)."""

    parts: tuple[tuple[str, int | None], ...]

    def of(self, row: Row) -> str:
        """The text of one row, stripped; '' if all of its columns are blank there."""
        if not any(row[column].strip() for _, column in self.parts if column is not None):
            return ""
        return "".join(text + ("" if column is None else row[column]) for text, column in self.parts).strip()


def field(what: str, written: str, table: Table) -> Field:
    """Read a column's name, or a text with columns in braces.

    Args:
        what: it is for, in errors.
        written: as the user wrote it.
        table: whose columns are meant.

    Raises:
        DataError: if there is no such column; the line names those that exist.
    """
    if written in table.columns:
        return Field((("", table.columns.index(written)),))
    try:
        parsed = list(string.Formatter().parse(written))
    except ValueError:
        raise DataError(f"{what}: unbalanced braces in {written!r}") from None
    names = [name for _, name, _, _ in parsed if name is not None]
    if not names:
        raise _unknown(what, written, table)
    for name in names:
        if name not in table.columns:
            raise _unknown(what, name, table)
    return Field(tuple((text, None if name is None else table.columns.index(name)) for text, name, _, _ in parsed))


def _unknown(what: str, name: str, table: Table) -> DataError:
    return DataError(f"{what}: {table.place} has no column {name!r}; it has: {', '.join(table.columns)}")

"""Rows of a table as samples: images that are files, with captions and classes from columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from tbar_ray.data.folder import read_beside
from tbar_ray.data.members import parse_caption, parse_metadata
from tbar_ray.data.raw.columns import Columns, Field, Row, field
from tbar_ray.data.raw.table import Table
from tbar_ray.errors import DataError
from tbar_ray.seeding import stable_hash

_KEY = re.compile(r"[^./\\\s][^./\\]*")
"""A shard's reader takes what follows the first dot for the extension, and what precedes a slash for a folder."""


@dataclass(frozen=True)
class RawSamples:
    """The rows of a table; `Samples`.

    A key is the row's number from 0, nine digits long as img2dataset's with 10,000 samples a shard, or what a column
    says. Rows that are left out keep their numbers, so that a repaired image moves no other key.

    Attributes:
        place: the table, for errors.
        header: number of columns; a row with another number of fields is damaged.
        is_folder: whether the table lists a folder, whose images have captions and metadata beside them.
        folder: that paths are relative to.
        keys: one a row, unique.
        rows: the fields.
        image: the path.
        texts: the captions, of which each row takes one; without any, the files beside the image have it.
        class_: the class; None if there is none.
        keep: what is written to the metadata, by name.
    """

    place: Path
    header: int
    is_folder: bool
    folder: Path
    keys: tuple[str, ...]
    rows: tuple[Row, ...]
    image: Field
    texts: tuple[Field, ...]
    class_: Field | None
    keep: Mapping[str, Field]

    @classmethod
    def of(cls, table: Table, columns: Columns, images: Path | None = None) -> RawSamples:
        """Read the rows of a table.

        Args:
            table: the rows.
            columns: which columns hold what.
            images: folder that paths are relative to; default that of the table.

        Raises:
            DataError: if a column does not exist, or keys are not unique or no keys.
        """
        columns.check()

        def optional(what: str, written: str | None) -> Field | None:
            return None if written is None else field(what, written, table)

        return cls(
            place=table.place,
            header=len(table.columns),
            is_folder=table.is_folder,
            folder=images or (table.place if table.is_folder else table.place.parent),
            keys=tuple(_keys(table, columns.key)),
            rows=table.rows,
            image=field("image", columns.image, table),
            texts=tuple(field("caption", written, table) for written in columns.captions),
            class_=optional("label", columns.label),
            keep={name: field("keep", name, table) for name in columns.keep},
        )

    def __len__(self) -> int:
        return len(self.keys)

    def part(self, positions: Sequence[int]) -> RawSamples:
        """Some of the samples, light enough to be sent to another process."""
        return replace(self, keys=tuple(self.keys[p] for p in positions), rows=tuple(self.rows[p] for p in positions))

    def damage(self, i: int) -> str | None:
        """Why row `i` has no sample; None if it has one."""
        if (fields := len(self.rows[i])) != self.header:
            return f"the row has {fields} fields, the header {self.header} (a delimiter without quotation marks?)"
        return None if self.named(i) else "the row names no image"

    def named(self, i: int) -> str:
        """The image's path as the row has it."""
        return self.image.of(self.rows[i])

    def path(self, i: int) -> Path:
        """The image's file."""
        return self.folder / self.named(i)

    def image_bytes(self, i: int) -> bytes:
        """Bytes of the image's file, as they are.

        Raises:
            DataError: if the row is damaged, or the file cannot be read.
        """
        if (damage := self.damage(i)) is not None:
            raise DataError(damage)
        try:
            return self.path(i).read_bytes()
        except OSError as error:  # the path as the row has it: what is told must not depend on where the images lie
            raise DataError(f"cannot read {self.named(i)}: {error.strerror or error}") from None

    def caption(self, i: int) -> str | None:
        """Caption of sample `i`: its column's, else that of the files beside the image; None if absent or blank.

        Of several columns the key draws one; where that is blank, the next one counts.
        """
        if self.damage(i) is not None:
            return None
        if self.texts:
            row = self.rows[i]
            shown = [row[0], shown_label(row[1], of_folder=True)] if self.is_folder else row
            drawn = stable_hash("caption", self.keys[i]) % len(self.texts)
            found = (text.of(shown) for text in (*self.texts[drawn:], *self.texts[:drawn]))
            return next((text for text in found if text), None)
        return parse_caption(self._beside(i, ".txt"), self._beside(i, ".json"))

    def metadata(self, i: int) -> dict[str, Any]:
        """Where the image came from, its class, the columns to keep, and of a folder the .json beside it."""
        if self.damage(i) is not None:
            return {}
        row, label = self.rows[i], self.label(i)
        return {
            **((parse_metadata(self._beside(i, ".json") or b"{}") or {}) if self.is_folder else {}),
            "path": self.named(i),
            **({} if label is None else {"label": label}),
            **{name: kept.of(row) for name, kept in self.keep.items()},
        }

    def label(self, i: int) -> str | None:
        """Class of sample `i`, of a folder with `_` as a space; None if it has none."""
        written = self.written_label(i)
        return None if written is None else shown_label(written, of_folder=self.is_folder)

    def written_label(self, i: int) -> str | None:
        """Class of sample `i` as the table or the subfolder has it; None if it has none."""
        if self.class_ is None or self.damage(i) is not None:
            return None
        return self.class_.of(self.rows[i]) or None

    def class_index(self, i: int) -> int | None:  # noqa: ARG002 - columns have names, not numbers
        """Always None: a table names classes."""
        return None

    def index_of(self, key: str) -> int:
        """Position of a key, from 0.

        Raises:
            DataError: if no row has it.
        """
        if key not in self._positions:
            raise DataError(f"no row {key!r} in {self.place}")
        return self._positions[key]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {key: position for position, key in enumerate(self.keys)}

    def _beside(self, i: int, suffix: str) -> bytes | None:
        return read_beside(self.path(i), suffix)


def shown_label(written: str, *, of_folder: bool) -> str:
    """A class as prompts say it: folders write `_` for a space."""
    return written.replace("_", " ") if of_folder else written


def _keys(table: Table, column: str | None) -> list[str]:
    if column is None:
        return [f"{number:09d}" for number in range(len(table.rows))]
    key, first = field("key", column, table), dict[str, int]()
    for number, row in enumerate(table.rows, start=1):
        found = key.of(row) if len(row) == len(table.columns) else f"row {number}"
        if not _KEY.fullmatch(found):
            raise DataError(f"key: row {number} of {table.place} has {found!r}; a key has neither dots nor slashes")
        if found in first:
            raise DataError(f"key: rows {first[found]} and {number} of {table.place} have the same, {found!r}")
        first[found] = number
    return list(first)

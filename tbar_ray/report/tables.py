"""Results as CSV and Parquet, without columns that are empty, and the data dictionary beside them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tbar_ray.report.dictionary import Meaning, meanings
from tbar_ray.report.fields import Row

DICTIONARY = "columns.csv"


@dataclass(frozen=True)
class Table:
    """Rows of a table by column.

    Attributes:
        name: of its files, without an end.
        columns: in their order; those without any value are left out of the files.
        rows: the values.
        split: the images of its scores.
        of: the model of scores whose column names none.
    """

    name: str
    columns: Sequence[str]
    rows: Sequence[Row]
    split: str = "test"
    of: str = "after removal"

    @property
    def meanings(self) -> dict[str, Meaning]:
        """What the columns that have values mean."""
        return meanings(self.filled, self.split, self.of)

    @property
    def filled(self) -> list[str]:
        """Columns that have a value in some row; all of them where there are no rows."""
        return [name for name in self.columns if not self.rows or any(row.get(name) is not None for row in self.rows)]

    def csv(self) -> bytes:
        """The rows as CSV; what a trial does not have is empty."""
        text = io.StringIO()
        writer = csv.DictWriter(text, self.filled, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue().encode()

    def parquet(self) -> bytes:
        """The rows as Parquet, with types; what columns mean is in the metadata of their fields."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        told = self.meanings
        arrays, fields = [], []
        for name in self.filled:
            array = _array([row.get(name) for row in self.rows])
            arrays.append(array)
            about = {"meaning": told[name].text, "unit": told[name].unit}
            fields.append(pa.field(name, array.type, metadata=about))
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_arrays(arrays, schema=pa.schema(fields)), buffer)
        return buffer.getvalue()


def files_of(tables: Sequence[Table]) -> dict[str, bytes]:
    """CSV and Parquet of some tables, and their data dictionary, by file name."""
    files: dict[str, bytes] = {}
    for table in tables:
        files[f"{table.name}.csv"] = table.csv()
        files[f"{table.name}.parquet"] = table.parquet()
    files[DICTIONARY] = dictionary(tables)
    return files


def dictionary(tables: Sequence[Table]) -> bytes:
    """The data dictionary as CSV: table, column, type, unit, meaning."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("table", "column", "type", "unit", "meaning"))
    for table in tables:
        for name, meaning in table.meanings.items():
            values = [row[name] for row in table.rows if row.get(name) is not None]
            writer.writerow((table.name, name, _type(values), meaning.unit, meaning.text))
    return text.getvalue().encode()


def _type(values: Sequence[object]) -> str:
    kinds = {type(value) for value in values}
    names: Mapping[frozenset[type], str] = {
        frozenset({bool}): "true or false",
        frozenset({int}): "whole number",
        frozenset({float}): "number",
        frozenset({int, float}): "number",
    }
    return names.get(frozenset(kinds), "text")


def _array(values: Sequence[object]) -> Any:
    """A column; values of several kinds, as names beside numbers, are text."""
    import pyarrow as pa

    kind = _type([value for value in values if value is not None])
    if kind == "text":
        return pa.array([None if value is None else _text(value) for value in values], pa.string())
    return pa.array(values, {"true or false": pa.bool_(), "whole number": pa.int64(), "number": pa.float64()}[kind])


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

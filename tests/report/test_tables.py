from __future__ import annotations

import csv
import io

import pyarrow.parquet as pq

from tbar_ray.report.tables import Table, dictionary, files_of

ROWS = [
    {
        "attack": "badnets",
        "alpha": 2,
        "ca": 0.5,
        "seed": 1,
        "merge": None,
        "my.axis": "a",
        "parameters": '{"steps": 2}',
    },
    {"attack": "sig", "alpha": 0.5, "ca": None, "seed": 2, "merge": None, "my.axis": 3},
]
TABLE = Table("results", list(ROWS[0]), ROWS)


def rows(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_columns_without_any_value_are_left_out_and_none_of_an_empty_table() -> None:
    assert "merge" not in TABLE.filled
    assert rows(TABLE.csv())[1] == {
        "attack": "sig", "alpha": "0.5", "ca": "", "seed": "2", "my.axis": "3", "parameters": "",
    }  # fmt: skip
    assert Table("results", ["attack", "merge"], []).csv() == b"attack,merge\n"


def test_parquet_has_types_values_and_what_columns_mean() -> None:
    found = pq.read_table(io.BytesIO(TABLE.parquet()))
    assert {name: str(kind) for name, kind in zip(found.schema.names, found.schema.types, strict=True)} == {
        "attack": "string", "alpha": "double", "ca": "double", "seed": "int64", "my.axis": "string",
        "parameters": "string",
    }  # fmt: skip
    assert found.column("alpha").to_pylist() == [2.0, 0.5]
    assert found.column("my.axis").to_pylist() == ["a", "3"], "values of several kinds are text"
    meaning = (found.schema.field("ca").metadata or {})[b"meaning"].decode()
    assert meaning == "clean accuracy: clean images answered with their class; after removal, test images"


def test_the_dictionary_tells_every_column_of_every_table() -> None:
    path = Table("path", ["alpha", "asr_low"], [{"alpha": 1.0, "asr_low": 0.1}], "validation")
    told = rows(dictionary([TABLE, path]))
    assert [(row["table"], row["column"]) for row in told] == [
        *(("results", name) for name in TABLE.filled), ("path", "alpha"), ("path", "asr_low"),
    ]  # fmt: skip
    assert all(row["meaning"] for row in told)
    assert told[-1]["meaning"].endswith("after removal, validation images: lower end of the 95% interval")
    assert [row["type"] for row in told[:4]] == ["text", "number", "number", "whole number"]


def test_every_table_is_there_twice() -> None:
    assert list(files_of([TABLE])) == ["results.csv", "results.parquet", "columns.csv"]

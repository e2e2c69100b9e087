from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import DataError
from tbar_ray.leaderboard.writing import add_cells, known_cells
from tests.leaderboard.cells import board, cell


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_built_twice_or_in_parts_the_bytes_are_the_same(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert known_cells(whole) == []
    add_cells(whole, board())
    first = content(whole)
    assert set(first) == {"cells.jsonl", "index.html", "table.md"}
    add_cells(whole, board())
    assert content(whole) == first
    add_cells(parts, board()[5:])
    add_cells(parts, board()[:5])
    assert content(parts) == first
    add_cells(parts, [])
    assert content(parts) == first


def test_a_newer_line_replaces_the_older_one(tmp_path: Path) -> None:
    add_cells(tmp_path, [cell(asr=0.5)])
    known, _ = add_cells(tmp_path, [cell(asr=0.1, ended=2.0)])
    assert known == known_cells(tmp_path) == [cell(asr=0.1, ended=2.0)]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write the leaderboard to"):
        add_cells(tmp_path / "file" / "folder", [cell()])

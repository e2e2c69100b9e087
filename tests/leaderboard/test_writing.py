from __future__ import annotations

import threading
from pathlib import Path

import pytest
from filelock import FileLock

from tbar_ray.errors import DataError
from tbar_ray.leaderboard import writing
from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.lines import FILE, text_of
from tbar_ray.leaderboard.markdown import END, START, short_table
from tbar_ray.leaderboard.summary import boards_of
from tbar_ray.leaderboard.writing import LOCK, add_cells, fill_in, known_cells
from tests.leaderboard.cells import board, cell, missing


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != LOCK}


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


def test_processes_that_add_to_one_folder_wait_for_each_other_and_lose_no_line(tmp_path: Path) -> None:
    first, second = cell(attack="badnets"), cell(attack="sig")
    adding = threading.Thread(target=add_cells, args=(tmp_path, [second]))
    with FileLock(tmp_path / LOCK):
        adding.start()
        adding.join(0.3)
        assert adding.is_alive()
        (tmp_path / FILE).write_text(text_of([first]), encoding="utf-8")
    adding.join(30)
    assert known_cells(tmp_path) == [first, second]


def test_a_folder_that_another_process_does_not_leave_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "LOCKED", 0.01)
    with FileLock(tmp_path / LOCK), pytest.raises(DataError, match="another process has been writing"):
        add_cells(tmp_path, [cell()])


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write the leaderboard to"):
        add_cells(tmp_path / "file" / "folder", [cell()])


def test_a_readme_gets_the_best_methods_between_its_marks(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    for before in ("", "| old | table |\n"):
        page.write_text(f"# Mine\n\n{START}\n{before}{END}\n\nmore\n")
        fill_in(page, board())
        best = short_table(boards_of(board())[0])
        assert page.read_text() == f"# Mine\n\n{START}\n{best}\n{END}\n\nmore\n"


@pytest.mark.parametrize(
    ("text", "cells", "said"),
    [
        ("# Mine", board(), "it needs the lines <!-- leaderboard:start --> and <!-- leaderboard:end -->, each once"),
        (f"{START}\n{END}\n{START}\n{END}\n", board(), "each once"),
        (f"{START}\nmine\n{START}\n{END}\n", board(), "each once"),
        (f"{START}\n{END}\n{END}\n", board(), "each once"),
        (f"{START}\n{END}\n", [missing()], "nothing is measured yet"),
    ],
)
def test_a_page_that_cannot_be_filled_stays_as_it_is(text: str, cells: list[Cell], said: str, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    with pytest.raises(DataError, match=f"^{page}: the short table cannot be put there: .*{said}$"):
        fill_in(page, cells)
    assert page.read_text() == text
    with pytest.raises(DataError, match=r"none\.md: No such file"):
        fill_in(tmp_path / "none.md", board())

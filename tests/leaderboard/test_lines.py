from __future__ import annotations

import json
from pathlib import Path

import pytest

from tbar_ray.errors import DataError
from tbar_ray.leaderboard.lines import merged, read_cells, text_of
from tests.leaderboard.cells import board, cell, missing


def test_cells_read_back_as_they_were_written_in_one_order(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    cells = [*board(), missing("z"), cell(search="decree", a_post=0.2), cell("q", status="failed", cleaned=None)]
    file.write_text(text_of(cells))
    assert read_cells(file) == sorted(cells, key=lambda found: found.key)
    assert text_of(reversed(cells)) == file.read_text()


def test_a_newer_line_replaces_the_older_one_and_a_missing_one_none() -> None:
    old, new = cell(asr=0.5, ended=1.0), cell(asr=0.1, ended=2.0)
    assert merged([old], [new]) == merged([new], [old]) == [new]
    assert merged([old], [missing()]) == [old]
    assert merged([missing()], [old]) == [old]
    undated = cell(ended=None)
    assert merged([undated], [missing()]) == [undated]
    with_a_post = cell(asr=0.5, ended=1.0, a_post=0.2)
    assert merged([with_a_post], [old]) == [with_a_post], "the same trial, read without its rebound"
    assert merged([with_a_post], [new]) == merged([new], [with_a_post]) == [with_a_post], "computed again, without it"
    assert merged([cell(ended=1.0, a_post=0.2)], [gone := cell(asr=0.5, ended=2.0)]) == [gone], "it is too high"
    changed = new.model_copy(update={"fingerprint": "another trial"})
    assert merged([with_a_post], [changed]) == [changed]
    failed = cell(status="failed", cleaned=None, ended=3.0)
    assert merged([new], [failed]) == [new], "the same trial: the machine failed"
    assert merged([new], [changed := failed.model_copy(update={"fingerprint": "another trial"})]) == [changed]
    other = cell("other")
    assert merged([old], [other]) == [other, old]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        (json.dumps({**json.loads(text_of([cell()])), "schema_version": 9}), "is of schema version 9, this is"),
        (json.dumps({**json.loads(text_of([cell()])), "seed": -1}), "is broken at 'seed'"),
        (text_of([cell()]).strip(), "tbar on sig, seed 0 (scenes) is there twice"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    file = tmp_path / "cells.jsonl"
    file.write_text(f"{text_of([cell()])}{line}\n")
    with pytest.raises(DataError) as caught:
        read_cells(file)
    assert f"{file} line 2: {said}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_cells(tmp_path / "none.jsonl")


def test_what_a_row_was_chosen_on_is_not_forgotten() -> None:
    stated, unstated = cell(tuned_on="attack"), cell(tuned_on="not stated", ended=2.0, command="another")
    (kept,) = merged([stated], [unstated])
    assert (kept.tuned_on, kept.command, kept.ended) == ("attack", stated.command, 2.0)
    other = unstated.model_copy(update={"fingerprint": "another trial"})
    assert merged([stated], [other]) == [other]
    assert merged([unstated], [stated]) == [unstated], "older"


def test_a_reason_may_hold_any_end_of_a_line(tmp_path: Path) -> None:
    file = tmp_path / "cells.jsonl"
    odd = cell(status="failed", cleaned=None, reason="one\u2028two\x85three\nfour")
    file.write_text(text_of([odd]), encoding="utf-8")
    assert read_cells(file) == [odd]
    file.write_text("")
    assert read_cells(file) == []

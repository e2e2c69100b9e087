"""The leaderboard as a page of Markdown: a short table, which others may take, and the whole one."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tbar_ray.errors import DataError
from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.rows import (
    AIM_HEADS,
    COMEBACK_HEADS,
    SUMMARY_HEADS,
    Row,
    Shown,
    aim_rows,
    comeback_rows,
    summary_rows,
)
from tbar_ray.leaderboard.said import AIMED, COMES_BACK, FINE_TUNED, REACHED, asked, coverage, headline, ranked
from tbar_ray.leaderboard.summary import Board, boards_of
from tbar_ray.report.text import Markdown, escape, table

START, END = "<!-- leaderboard:start -->", "<!-- leaderboard:end -->"
"""Marks of the block of another page that the short table fills."""
BLOCK = re.compile(f"{START}\n(.*?){END}", re.DOTALL)
BEST = 5
"""Methods of the short table."""
SHORT = ("method", "mean rank", "removed", "restored", "CA", "ASR", "PA", "worst A_post")


def leaderboard_markdown(cells: Sequence[Cell]) -> str:
    """The page of all cells: the best methods first, then every board."""
    every = boards_of(cells)
    boards = [board for board in every if board.measured]
    parts = ["# Leaderboard as a table", *map(escape, [*headline(every), asked()])]
    if boards:
        parts += [f"## The best {BEST}", _capital(boards[0].title), short_table(boards[0])]
    for board in boards:
        parts += [f"## {_capital(board.title)}", escape(coverage(board))]
        parts += [escape(f"Ranking {ranking.rule.name}: {ranked(ranking)}") for ranking in board.rankings]
        parts.append(_table(SUMMARY_HEADS, summary_rows(board)))
        parts += [f"### {AIMED}", REACHED, _table(AIM_HEADS, aim_rows(board))]
        if rows := comeback_rows(board):
            parts += [f"### {COMES_BACK}", FINE_TUNED, _table(COMEBACK_HEADS, rows)]
    return "\n\n".join(parts) + "\n"


def short_table(board: Board) -> Markdown:
    """A board's best methods, which README.md shows as well."""
    return _table(SUMMARY_HEADS, summary_rows(board)[:BEST], SHORT)


def with_short_table(text: str, cells: Sequence[Cell]) -> str:
    """A Markdown text whose block between the two marks is the first board's short table.

    Raises:
        DataError: if the text lacks a mark, or nothing is measured.
    """
    boards = [board for board in boards_of(cells) if board.measured]
    parts = BLOCK.split(text)
    marked = len(parts) == 3 and text.count(START) == text.count(END) == 1
    if not marked or not boards:
        what = "nothing is measured yet" if marked else f"it needs the lines {START} and {END}, each once"
        raise DataError(f"the short table cannot be put there: {what}")
    return f"{parts[0]}{START}\n{short_table(boards[0])}\n{END}{parts[2]}"


def _capital(text: str) -> Markdown:
    return escape(text[:1].upper() + text[1:])


def _table(heads: Sequence[Shown], rows: Sequence[Row], columns: Sequence[str] = ()) -> Markdown:
    """Some columns of some rows; all columns if none are named."""
    names = [head.text for head in heads]
    places = [names.index(column) for column in columns or names]
    return table([names[place] for place in places], [[row.cells[place].text for place in places] for row in rows])

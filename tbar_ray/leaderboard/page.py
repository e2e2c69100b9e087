"""The leaderboard as one HTML page that opens anywhere: nothing is loaded, tables are sorted and filtered in place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.figure import critical_difference_figure
from tbar_ray.leaderboard.harvest import lacking
from tbar_ray.leaderboard.ranking import Ranking
from tbar_ray.leaderboard.rows import (
    AIM_HEADS,
    CELL_HEADS,
    COMEBACK_HEADS,
    FIELDS,
    SUMMARY_HEADS,
    Row,
    Shown,
    aim_rows,
    attack_heads,
    attack_rows,
    cell_rows,
    comeback_rows,
    options,
    summary_rows,
)
from tbar_ray.leaderboard.said import AIMED, COMES_BACK, FINE_TUNED, REACHED, coverage, headline, ranked, rules
from tbar_ray.leaderboard.summary import Board, boards_of
from tbar_ray.naming import counted
from tbar_ray.report.page import data_url, environment, script_of

TEMPLATE = "leaderboard.html"
SCRIPTS = (("tbar_ray.report", "page.js"), ("tbar_ray.leaderboard", "filters.js"))


@dataclass(frozen=True)
class RankingView:
    """A ranking as the page shows it; a picture is None where nothing can be ranked."""

    name: str
    sentence: str
    picture: str | None


@dataclass(frozen=True)
class BoardView:
    """A board as the page shows it."""

    title: str
    anchor: str
    coverage: str
    rankings: tuple[RankingView, ...]
    summary: tuple[Row, ...]
    aims: tuple[Row, ...]
    comeback: tuple[Row, ...]
    attack_heads: tuple[Shown, ...]
    matrix: tuple[Row, ...]


@dataclass(frozen=True)
class Choice:
    """A choice above the table of cells."""

    name: str
    options: tuple[str, ...]


def leaderboard_html(cells: Sequence[Cell]) -> str:
    """The page of all cells. Equal cells give equal bytes."""
    boards = boards_of(cells)
    rows = cell_rows(cells)
    values = options(rows)
    missing = [(f"{board.title}: {_count(board)}", lacking(board.cells)) for board in boards]
    return (
        environment("tbar_ray.leaderboard")
        .get_template(TEMPLATE)
        .render(
            sentences=headline(boards),
            boards=[_view(board) for board in boards if board.measured],
            summary_heads=SUMMARY_HEADS,
            aimed=AIMED,
            reached=REACHED,
            aim_heads=AIM_HEADS,
            comes_back=COMES_BACK,
            fine_tuned=FINE_TUNED,
            comeback_heads=COMEBACK_HEADS,
            cell_heads=CELL_HEADS,
            cells=rows,
            fields=[Choice(name, tuple(values[name])) for name in FIELDS],
            missing=[(title, lines) for title, lines in missing if lines],
            rules=rules(),
            script=script_of(*SCRIPTS),
        )
    )


def _view(board: Board) -> BoardView:
    return BoardView(
        title=board.title[:1].upper() + board.title[1:],
        anchor=re.sub(r"[^a-z0-9]+", "-", board.title.lower()),
        coverage=coverage(board),
        rankings=tuple(map(_ranking, board.rankings)),
        summary=tuple(summary_rows(board)),
        aims=tuple(aim_rows(board)),
        comeback=tuple(comeback_rows(board)),
        attack_heads=tuple(attack_heads(board)),
        matrix=tuple(attack_rows(board)),
    )


def _ranking(ranking: Ranking) -> RankingView:
    found = ranking.comparison
    picture = None if found is None else data_url(critical_difference_figure(found))
    return RankingView(ranking.rule.name, ranked(ranking), picture)


def _count(board: Board) -> str:
    return f"{counted(len(board.cells) - board.measured, 'cell')} of {len(board.cells):,}"

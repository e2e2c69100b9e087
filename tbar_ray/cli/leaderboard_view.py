"""What `tbar leaderboard` reads, writes and prints."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from tbar_ray.cli.console import make_console, table_console

if TYPE_CHECKING:
    from tbar_ray.leaderboard.boards import Asked
    from tbar_ray.leaderboard.cell import Cell
    from tbar_ray.leaderboard.summary import Board
    from tbar_ray.leaderboard.tuning import Tuning
    from tbar_ray.spec.campaign import CampaignSpec
    from tbar_ray.store.store import Store

LINES = 12
"""Methods with missing cells that are listed."""


def board_table(board: Board) -> Table:
    """The summary of a board, a row for each method."""
    from tbar_ray.leaderboard.rows import SUMMARY_HEADS, summary_rows

    table = Table(title=board.title)
    for head in SUMMARY_HEADS:
        table.add_column(head.text, justify="left" if head.text in ("method", "defender holds") else "right")
    for row in summary_rows(board):
        table.add_row(*(Text(cell.text) for cell in row.cells))
    return table


def harvested(spec: CampaignSpec, store: Store, tuning: Tuning, asked: Asked) -> list[Cell]:
    """The cells of a campaign that a store has, with a line that says how many were read."""
    from tbar_ray.leaderboard.harvest import Harvest

    with make_console(stderr=True).status("reading the store") as status:
        return Harvest(spec, store, tuning, asked).cells(
            lambda number: status.update(f"reading the store: {number} cells")
        )


def write_board(out: Path, cells: list[Cell]) -> None:
    """Write the folder; print the files, and of the given cells how many are measured and which are not."""
    from tbar_ray.leaderboard.harvest import lacking
    from tbar_ray.leaderboard.writing import add_cells

    _, files = add_cells(out, cells)
    console = table_console()
    for file in files:
        console.print(str(file), soft_wrap=True, highlight=False)
    if not cells:
        return
    console.print(f"{sum(cell.is_measured for cell in cells):,} of {len(cells):,} cells are measured")
    missing = lacking(cells)
    for line in missing[:LINES]:
        console.print(f"  missing  {line}", soft_wrap=True, highlight=False)
    if len(missing) > LINES:
        console.print(f"  missing  and of {len(missing) - LINES} more methods; the page lists all")

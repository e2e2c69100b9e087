"""The leaderboard's folder: the lines, and what is made of them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from tbar_ray.errors import DataError
from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.lines import FILE, merged, read_cells, text_of
from tbar_ray.leaderboard.markdown import leaderboard_markdown, with_short_table
from tbar_ray.leaderboard.page import leaderboard_html
from tbar_ray.report.folder import check_writable

PAGE, TABLE = "index.html", "table.md"
LOCK = ".leaderboard.lock"
LOCKED = 60.0
"""Seconds to wait for another process that adds to the same folder; it takes a few."""


def known_cells(folder: Path) -> list[Cell]:
    """Cells that a folder has; none where there is no file yet.

    Raises:
        DataError: if its file cannot be read.
    """
    file = folder / FILE
    return read_cells(file) if file.exists() else []


def check_folder(folder: Path) -> None:
    """Find out before hours of work whether cells can be added to a folder; it is made where it is missing.

    Raises:
        TbarError: one line, if its lines cannot be read, or it cannot be written.
    """
    known_cells(folder)
    check_writable(folder)


def add_cells(folder: Path, cells: Sequence[Cell]) -> tuple[list[Cell], list[Path]]:
    """Add cells to a folder's lines, and make page and table anew.

    A newer line of a cell replaces the older one. Equal cells give equal bytes, whatever was there before. Processes
    that add to one folder do it one after the other, so that none loses another's lines.

    Returns:
        All cells, and the files: lines, page, table.

    Raises:
        DataError: if the folder's lines cannot be read, or it cannot be written, or another process holds it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=LOCKED):
            whole = merged(known_cells(folder), cells)
            texts = {FILE: text_of(whole), PAGE: leaderboard_html(whole), TABLE: leaderboard_markdown(whole)}
            for name, text in texts.items():
                _replace(folder / name, text)
    except Timeout:
        raise DataError(
            f"{folder}: another process has been writing this leaderboard for {LOCKED:.0f} s; "
            "end it, then run the same command again"
        ) from None
    except OSError as error:
        raise DataError(f"cannot write the leaderboard to {folder}: {error.strerror or error}") from None
    return whole, [folder / name for name in texts]


def fill_in(page: Path, cells: Sequence[Cell]) -> None:
    """Put the short table into a page of Markdown, such as a README, between its two marks.

    Raises:
        DataError: if the page cannot be read or written, or lacks the marks.
    """
    try:
        _replace(page, with_short_table(page.read_text(encoding="utf-8"), cells))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{page}: {getattr(error, 'strerror', None) or error}") from None
    except DataError as error:
        raise DataError(f"{page}: {error}") from None


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename, so that a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

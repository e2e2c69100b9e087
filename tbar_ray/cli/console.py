"""Where commands print: consoles that show every text as it is."""

from __future__ import annotations

import sys
from io import TextIOWrapper

from rich.console import Console

WIDE = 160
"""Columns of a log: it has no width of its own, and 80 would break every line of a table."""


def make_console(*, stderr: bool = False, quiet: bool = False, width: int | None = None) -> Console:
    """A console without markup: a name or path in brackets is no style, `:cat:` no picture.

    Styles are given as `rich.text.Text`, or as the style of a whole line or cell.
    """
    return Console(stderr=stderr, quiet=quiet, width=width, highlight=False, markup=False, emoji=False)


def table_console(width: int = WIDE) -> Console:
    """A console for tables: as wide as the terminal, or of `width` columns where it is a log."""
    console = make_console()
    return console if console.is_terminal else make_console(width=width)


def replace_what_cannot_be_shown() -> None:
    """Let a terminal of few characters (`LC_ALL=C`) show `?` for the others, where printing them would fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")

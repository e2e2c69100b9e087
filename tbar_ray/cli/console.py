"""Where commands print their tables."""

from __future__ import annotations

from rich.console import Console


def table_console() -> Console:
    """Return a console that is wide enough for tables: a log has no width, and 80 columns would break every line."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=160, highlight=False)

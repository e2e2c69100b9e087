"""Markdown building blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Record = dict[str, Any]


def rate(row: Record, metric: str) -> str:
    """Return a rate with its interval in percent, '–' where it is unknown."""
    value, low, high = (row.get(f"{metric}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.1%}"
    return f"{value:.1%} [{low * 100:.1f}, {high * 100:.1f}]"


def share(value: float | None) -> str:
    """Return a share in percent, '–' where it is unknown."""
    return "–" if value is None else f"{value:.1%}"


def bullets(lines: Iterable[str]) -> str:
    """Return a list, one line an item."""
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars in cells are escaped."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *(line(row) for row in rows)])

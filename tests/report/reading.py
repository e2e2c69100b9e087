"""Reading what a report says."""

from __future__ import annotations


def rows_of(markdown: str) -> list[dict[str, str]]:
    """The rows of the only table of a text, by the heads of its columns."""
    lines = [line for line in markdown.splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split(" | ")] for line in lines)
    assert len(set(head)) == len(head)
    return [dict(zip(head, row, strict=True)) for row in rows]

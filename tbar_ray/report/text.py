"""Markdown building blocks, and how values are written in a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tbar_ray.records.cells import CELL, source_of, varies_within

Record = dict[str, Any]
NAMES = {"forget_size": "forget set", "clean_fraction": "clean", "poisoning_rate": "poisoned", "source": "vector of"}
SHARES = ("clean_fraction", "poisoning_rate")


def rate(row: Record, metric: str) -> str:
    """Return a rate with its interval in percent, '–' where it is unknown."""
    value, low, high = (row.get(f"{metric}{end}") for end in ("", "_low", "_high"))
    return with_interval(value, low, high)


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """Return a share with its interval in percent, without one where there is none, '–' where it is unknown."""
    if value is None or low is None or high is None:
        return share(value)
    return f"{value:.1%} [{low * 100:.1f}, {high * 100:.1f}]"


def share(value: float | None) -> str:
    """Return a share in percent, '–' where it is unknown."""
    return "–" if value is None else f"{value:.1%}"


def factors(records: Iterable[Record], always: Sequence[str] = ("forget_size", "clean_fraction")) -> list[str]:
    """Return the factors beside the attack that tell records apart, and those that are `always` shown."""
    records = list(records)
    shown = [name for name in CELL if name != "attack" and (name in always or varies_within(records, name))]
    return sorted(shown, key=lambda name: name not in always)  # stable: the usual ones come first


def heads(names: Iterable[str]) -> list[str]:
    """Return the heads of columns of factors."""
    return [NAMES.get(name, name.replace("_", " ")) for name in names]


def values(record: Record, names: Iterable[str]) -> list[str]:
    """Return a record's values of factors as they are written in a table."""
    return [_value(record, name) for name in names]


def _value(record: Record, name: str) -> str:
    value = record.get(name)
    if name == "source":
        source = source_of(record)
        return f"{source} (own)" if source == record["attack"] else source
    if value is None:
        return "–"
    if name in SHARES:
        return f"{value * 100:.3g}%"
    return f"{value:,}" if name == "forget_size" else str(value)


def bullets(lines: Iterable[str]) -> str:
    """Return a list, one line an item."""
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; bars in cells are escaped."""

    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *(line(row) for row in rows)])


def section(title: str, *parts: str) -> str:
    """Return a section, or '' if its last part, what it is about, is empty."""
    return "\n\n".join([f"## {title}", *(part for part in parts if part)]) if parts[-1] else ""

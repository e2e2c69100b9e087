"""The table of results in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.records.cells import grouped, preference, source_of, varies, varies_within

if TYPE_CHECKING:
    from rich.table import Table

Record = dict[str, Any]
WIDTH, WIDEST = 100, 120
"""Columns of the terminal that the table fits in, and those that it takes where many factors vary."""
FACTORS = {
    "target": "target",
    "source": "source",
    "task": "task",
    "planting": "planting",
    "method": "method",
    "forget_size": "forget",
    "clean_fraction": "clean",
    "poisoning_rate": "poison",
    "seed": "seed",
    "learning_rate": "lr",
}
"""Fields that get a column where they vary; where not, the title says their values once."""
NAMES = ("attack", "target", "source", "task", "planting", "method")
"""Columns of names, which share what room the numbers leave; a name that is too long loses its middle."""
MOST = 3
"""Other such columns beside which there is room for the target."""
TITLED = ("target", "forget_size", "clean_fraction")
COMFORTABLE, LEAST = 10, 6
"""Letters that a name keeps in a table of WIDTH, and of more than WIDEST."""


def result_table(records: Sequence[Record]) -> Table:
    """Return test scores at the selected α, one row per trial, in at most 100 columns (120 if many factors vary).

    Scores are written "infected → after removal", ASR with the clean model's behind it. The best feasible trial
    of each attack, by its validation scores, is bold. A trial without a result says so and refers to its reason
    under the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    factors = [name for name in FACTORS if _is_told(records, name)]
    columns = ["attack", *factors]
    heads = ["attack", *(FACTORS[name] for name in factors), "α", "CA", "ASR", "PA", "kept"]
    reasons: dict[str, int] = {}
    rows = [_row(record, columns, _mark(record, reasons)) for record in records]
    roomy = _width(heads, rows, gap=2) <= WIDTH
    if not roomy:
        heads, rows = _fitted(columns, heads, rows)
    if _width(heads, rows, gap=1) > WIDTH:
        rows = [[cell.replace(" → ", "→") for cell in row] for row in rows]
    table = Table(
        box=SIMPLE_HEAD, padding=(0, int(roomy), 0, 0), pad_edge=False, caption_justify="left", caption_style="none"
    )
    table.title, table.title_justify = Text(_title(records)), "left"
    for place, head in enumerate(heads):
        is_name = place < len(columns) and columns[place] in NAMES
        table.add_column(head, justify="left" if is_name else "right", no_wrap=True)
    best = _best(records)
    for record, row in zip(records, rows, strict=True):
        style = "bold" if id(record) in best else "red" if record["status"] == "failed" else ""
        table.add_row(*(Text(cell) for cell in row), style=style)
    lines = [f"[{number}] {reason}" for reason, number in reasons.items()]
    if best:
        lines.append("kept: CA over the infected model's. bold: the best of each attack on validation.")
    if not records:
        lines.append("No trial has ended yet.")
    table.caption = Text("\n".join(lines))
    table.min_width = min(WIDTH, max((len(line) for line in [*lines, _title(records)]), default=0))
    return table


def _is_told(records: Sequence[Record], name: str) -> bool:
    """Whether a field gets a column."""
    if name == "target":  # an attack fixes it: it goes first where there is little room
        return varies(records, name) and sum(_is_told(records, other) for other in FACTORS if other != name) <= MOST
    if name == "poisoning_rate":  # attacks may have rates of their own
        return varies_within(records, name)
    return varies(records, name)


def _title(records: Sequence[Record]) -> str:
    """Return what the scores are, and what all trials have in common."""
    same = [f"{FACTORS[name]} {_value(records[0], name)}" for name in TITLED if records and not varies(records, name)]
    return "; ".join(["Test scores in %: infected → after removal (clean model)", *same])


def _row(record: Record, columns: Sequence[str], mark: str) -> list[str]:
    retention, baseline = record.get("ca_retention"), record.get("asr_clean")
    ca, asr, pa = (_change(record, metric) for metric in ("ca", "asr", "pa"))
    return [
        *(_value(record, name) for name in columns),
        f"{_short(record.get('alpha'))}{mark}",
        ca,
        asr if baseline is None else f"{asr} ({baseline * 100:.1f})",
        pa,
        "–" if retention is None else f"{retention:.0%}",
    ]


def _value(record: Record, name: str) -> str:
    if name == "source":
        return "own" if source_of(record) == record["attack"] else source_of(record)
    value = record.get(name)
    if value is None or (name, value) == ("planting", "standard"):
        return "–"
    return f"{value:.0%}" if name == "clean_fraction" else f"{value:,}" if name == "forget_size" else _short(value)


def _fitted(columns: Sequence[str], heads: list[str], rows: list[list[str]]) -> tuple[list[str], list[list[str]]]:
    """Shorten the longest names until the table, a space between columns, is no wider than it may be."""
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    names = [place for place, name in enumerate(columns) if name in NAMES]
    excess = _width(heads, rows, gap=1) - WIDTH
    while excess > 0:
        longest = max(names, key=lambda place: widths[place])
        if widths[longest] <= (LEAST if excess > WIDEST - WIDTH else COMFORTABLE):
            break
        widths[longest] -= 1
        excess -= 1

    def cut(cells: list[str]) -> list[str]:
        return [_middle(cell, widths[place]) if place in names else cell for place, cell in enumerate(cells)]

    return cut(heads), [cut(row) for row in rows]


def _width(heads: Sequence[str], rows: Sequence[Sequence[str]], gap: int) -> int:
    """Return the columns of the terminal that a table takes, with the spaces at its sides."""
    return sum(max(map(len, cells)) + gap for cells in zip(heads, *rows, strict=True)) + 2 - gap


def _middle(name: str, width: int) -> str:
    """Return a name without its middle, since names that begin alike often end differently."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"


def _best(records: Sequence[Record]) -> set[int]:
    """Return the identities of the best feasible record of each attack."""
    done = [r for r in records if r["status"] == "done"]
    return {id(min(group, key=preference)) for group in grouped(done, lambda r: (r["attack"],)).values()}


def _mark(record: Record, reasons: dict[str, int]) -> str:
    """Return the mark of a trial without a feasible result, and number its reason."""
    if record["status"] == "done":
        return ""
    reason = f"{record['status']}: {record.get('reason') or 'no reason recorded'}"
    return f" [{reasons.setdefault(reason, len(reasons) + 1)}]"


def _short(value: Any) -> str:
    return "–" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _change(record: Record, metric: str) -> str:
    before, after = record.get(f"{metric}_infected"), record.get(metric)
    left, right = ("–" if value is None else f"{value * 100:.1f}" for value in (before, after))
    return f"{left} → {right}"

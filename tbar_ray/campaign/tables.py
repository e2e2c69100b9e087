"""The table of results in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.figures.cells import grouped, preference

if TYPE_CHECKING:
    from rich.table import Table

Record = dict[str, Any]
WIDTH = 100
OPTIONAL = {
    "source": "vector of",
    "method": "method",
    "planting": "planting",
    "seed": "seed",
    "poisoning_rate": "poison",
    "learning_rate": "lr",
}
"""Factors that get a column only where they vary."""
MOST_WITH_TARGET = 2
"""More such columns than this leave no room for the target, which an attack fixes anyway."""


def result_table(records: Sequence[Record]) -> Table:
    """Return test scores at the selected α, one row per trial, in at most 100 columns.

    Scores are written "infected → after removal". The best feasible trial of each attack, by its validation
    scores, is bold. A trial without a result says so and refers to its reason under the table.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    extra = [name for name in OPTIONAL if len({r.get(name) for r in records}) > 1]
    table = Table(box=SIMPLE_HEAD, padding=(0, 0 if extra else 1, 0, 0), caption_justify="left", caption_style="none")
    table.title, table.title_justify = "Test scores in %: infected → after removal", "left"
    with_target = len(extra) <= MOST_WITH_TARGET
    for name in ("attack", "target")[: 1 + with_target]:
        table.add_column(name, overflow="ellipsis", no_wrap=True, max_width=9 if extra else 16)
    for name in ("forget", "clean", *(OPTIONAL[name] for name in extra), "α"):
        table.add_column(name, justify="right", no_wrap=True, max_width=12)
    for name in ("CA", "ASR", "PA"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("kept", justify="right", no_wrap=True)
    best = _best(records)
    reasons: dict[str, int] = {}
    for record in records:
        mark = _mark(record, reasons)
        style = "bold" if id(record) in best else "red" if record["status"] == "failed" else ""
        retention = record.get("ca_retention")
        cells = [
            record["attack"],
            *([str(record.get("target", "–"))] if with_target else []),
            f"{record['forget_size']:,}",
            f"{record['clean_fraction']:.0%}",
            *(_short(record.get(name)) for name in extra),
            f"{_short(record.get('alpha'))}{mark}",
            *(_change(record, metric) for metric in ("ca", "asr", "pa")),
            "–" if retention is None else f"{retention:.0%}",
        ]
        table.add_row(*(Text(cell) for cell in cells), style=style)
    lines = [f"[{number}] {reason}" for reason, number in reasons.items()]
    if best:
        lines.append("kept: CA over the infected model's. bold: the best of each attack on validation.")
    if not records:
        lines.append("No trial has ended yet.")
    table.caption = Text("\n".join(lines))
    table.min_width = min(WIDTH, max((len(line) for line in lines), default=0))
    return table


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

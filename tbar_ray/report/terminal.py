"""The table of results in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tbar_ray.colours import FAILURE
from tbar_ray.planning.axes import ALIASES, Factor, Setting, factors_of
from tbar_ray.records.cells import best_of_attacks, names_of, value_of, varies, varies_within
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.columns import JOINED, Column, joined
from tbar_ray.report.text import points

if TYPE_CHECKING:
    from rich.table import Table

WIDTH, WIDEST = 100, 120
"""Columns of the terminal that the table fits in, and those that it takes where many axes vary."""
CUT = ("attack", "target", "source", "task", "planting", "method")
"""Columns of names, which share what room the numbers leave; a name that is too long loses its middle."""
MOST = 3
"""Other such columns beside which there is room for the target."""
TITLED = ("forget_size", "clean_fraction")
COMFORTABLE, LEAST = 10, 6
"""Letters that a name keeps in a table of WIDTH, and of more than WIDEST."""
MASKED = "as applied: CA/ASR with the BatchNorm statistics that the edit leaves; masked: ASR that these hide."
WRAPPED = 24
"""Letters of a line of other texts (parameters, values of an axis), which take several lines where room is short."""


def result_table(records: Sequence[TrialRecord], marked: bool = False, width: int = WIDTH) -> Table:
    """Test scores at the selected α, one row per trial, in `width` columns of the terminal (20 more if many axes vary).

    Scores are written "infected → after removal", ASR with the clean model's behind it. The best feasible trial
    of each attack, by its validation scores, is bold. A trial without a result says so and refers to its reason
    under the table.

    Args:
        records: the trials, in the order to be shown.
        marked: whether the best trials have a star, for a console without bold text.
        width: columns that it is to take at most; it takes more where the numbers do.
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    columns = _columns(records)
    beside = any(record.beside is not None for record in records)
    heads = [*(column.head for column in columns), "α", "CA", "ASR", "PA", "kept", *["as applied", "masked"] * beside]
    reasons: dict[str, int] = {}
    best = _best(records)
    rows = []
    for record in records:
        star = "*" if marked and id(record) in best else ""
        told = [*_scores(record, star + _mark(record, reasons)), *_applied(record) * beside]
        rows.append([*(column.text(record) for column in columns), *told])
    texts = {place for place, column in enumerate(columns) if _is_text(column, records)}
    wrapped = {place for place in texts if columns[place].name not in CUT}
    cut = sorted(texts - wrapped)
    roomy = _width(heads, rows, wrapped, gap=2) <= width
    if not roomy:
        heads, rows = _fitted(heads, rows, cut, wrapped, width)
    if _width(heads, rows, wrapped, gap=1) > width:
        rows = [[cell.replace(" → ", "→") for cell in row] for row in rows]
    table = Table(
        box=SIMPLE_HEAD, padding=(0, int(roomy), 0, 0), pad_edge=False, caption_justify="left", caption_style="none"
    )
    table.title, table.title_justify = Text(_title(records)), "left"
    for place, (head, least) in enumerate(zip(heads, _widths(heads, rows, wrapped), strict=True)):
        whole = place not in wrapped
        table.add_column(
            Text(head),
            justify="left" if place in texts else "right",
            no_wrap=whole,
            min_width=least if whole else None,  # a number that is cut would be another number
            overflow="fold",
        )
    for record, row in zip(records, rows, strict=True):
        style = "bold" if id(record) in best else FAILURE if record.status == "failed" else ""
        table.add_row(*(Text(cell) for cell in row), style=style)
    lines = [f"[{number}] {reason}" for reason, number in reasons.items()]
    if best:
        how = "*" if marked else "bold"
        lines.append(f"kept: CA over the infected model's. {how}: the best of each attack on validation.")
    if beside:
        lines.append(MASKED)
    if not records:
        lines.append("No trial has ended yet.")
    table.caption = Text("\n".join(lines))
    table.min_width = min(width, max((len(line) for line in [*lines, _title(records)]), default=0))
    return table


def _columns(records: Sequence[TrialRecord]) -> list[Column]:
    """The attack and a column for each setting that tells trials apart, those of the attack among them."""
    factors = [f for name, f in factors_of(names_of(records)).items() if name != "attack" and _tells(records, name)]
    axes = {column.name: column for column in joined(factors)}
    fixed = {name: _of_attack(name) for name in ("task", "planting") if varies(records, name)}
    if "source" in axes:
        axes["source"] = Column("source", "", ALIASES["source"].factor.head, _source)
    ordered = [axes.pop("source", None), fixed.get("task"), fixed.get("planting"), *axes.values()]
    others = [column for column in ordered if column is not None]
    # an attack fixes its target, too: it goes first where there is little room
    target = [_of_attack("target")] * (varies(records, "target") and len(others) <= MOST)
    return [Column("attack", "attack", "attack", lambda record: record.attack), *target, *others]


def _tells(records: Sequence[TrialRecord], name: str) -> bool:
    """Whether an axis tells trials apart; attacks may have rates and parameters of their own, which do not."""
    own = name == "poisoning_rate" or name.startswith("attacks.")
    return varies_within(records, name) if own else varies(records, name)


def _of_attack(name: str) -> Column:
    return Column(name, name, name, lambda record: _plain(value_of(record, name)))


def _plain(value: Setting) -> str:
    """Write what an attack fixes; the standard planting is left out."""
    return "–" if value is None or value == "standard" else str(value)


def _source(record: TrialRecord) -> str:
    return record.source if record.transferred else "own"


def _is_text(column: Column, records: Sequence[TrialRecord]) -> bool:
    """Whether a column holds texts, not numbers."""
    return column.name in (*CUT, JOINED) or any(isinstance(record.setting(column.name), str) for record in records)


def _title(records: Sequence[TrialRecord]) -> str:
    """What the scores are, and the settings that all trials share."""
    same: list[str] = []
    if records:
        same += [f"target {records[0].target}"] * (not varies(records, "target"))
        shared: Iterable[Factor] = (ALIASES[name].factor for name in TITLED if not varies(records, name))
        same += [f"{factor.head} {factor.form(records[0].setting(factor.name))}" for factor in shared]
    return "; ".join(["Test scores in %: infected → after removal (clean model)", *same])


def _scores(record: TrialRecord, mark: str) -> list[str]:
    baseline = record.value("asr", "clean")
    ca, asr, pa = (_change(record, metric) for metric in ("ca", "asr", "pa"))
    return [
        f"{'–' if record.alpha is None else f'{record.alpha:.3g}'}{mark}",
        ca,
        asr if baseline is None else f"{asr} ({baseline * 100:.1f})",
        pa,
        "–" if record.ca_retention is None else f"{record.ca_retention:.0%}",
    ]


def _applied(record: TrialRecord) -> list[str]:
    """CA and ASR with the statistics that the edit leaves, and the points of ASR that these hide."""
    role: Role = "removed" if record.as_applied is None else "as_applied"
    ca, asr = record.value("ca", role), record.value("asr", role)
    if record.asr_masked is None or ca is None or asr is None:
        return ["–", "–"]
    return [f"{ca * 100:.1f}/{asr * 100:.1f}", points(record.asr_masked)]


def _fitted(
    heads: list[str], rows: list[list[str]], names: Sequence[int], wrapped: set[int], width: int
) -> tuple[list[str], list[list[str]]]:
    """Shorten the longest names until the table, a space between columns, is no wider than it may be."""
    widths = _widths(heads, rows, wrapped)
    excess = _width(heads, rows, wrapped, gap=1) - width
    while excess > 0:
        longest = max(names, key=lambda place: widths[place])
        if widths[longest] <= (LEAST if excess > WIDEST - WIDTH else COMFORTABLE):
            break
        widths[longest] -= 1
        excess -= 1

    def cut(cells: list[str]) -> list[str]:
        return [_middle(cell, widths[place]) if place in names else cell for place, cell in enumerate(cells)]

    return cut(heads), [cut(row) for row in rows]


def _width(heads: Sequence[str], rows: Sequence[Sequence[str]], wrapped: set[int], gap: int) -> int:
    """Columns of the terminal that a table takes, with the spaces at its sides."""
    return sum(width + gap for width in _widths(heads, rows, wrapped)) + 2 - gap


def _widths(heads: Sequence[str], rows: Sequence[Sequence[str]], wrapped: set[int]) -> list[int]:
    widths = [max(map(len, cells)) for cells in zip(heads, *rows, strict=True)]
    return [min(width, WRAPPED) if place in wrapped else width for place, width in enumerate(widths)]


def _middle(name: str, width: int) -> str:
    """A name without its middle, since names that begin alike often end differently."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}…{name[len(name) - tail :]}"


def _best(records: Sequence[TrialRecord]) -> set[int]:
    """Identities (`id`) of the best feasible record of each attack."""
    return {id(record) for record in best_of_attacks(records)}


def _mark(record: TrialRecord, reasons: dict[str, int]) -> str:
    """Mark of a trial without a feasible result, whose reason it numbers; '' for one with a result."""
    if record.status == "done":
        return ""
    reason = f"{record.status}: {record.reason or 'no reason recorded'}"
    return f" [{reasons.setdefault(reason, len(reasons) + 1)}]"


def _change(record: TrialRecord, metric: str) -> str:
    before, after = record.value(metric, "infected"), record.value(metric)
    left, right = ("–" if value is None else f"{value * 100:.1f}" for value in (before, after))
    return f"{left} → {right}"

"""The table of results of a page: cells with a value to sort by and a hint to hover over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import RateRecord, Role
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.parameters import Parameters, told
from tbar_ray.report.results import as_applied
from tbar_ray.report.text import rate, share

SCORES: tuple[tuple[str, str, Role, str], ...] = (
    ("CA", "ca", "removed", "clean accuracy after removal"),
    ("ASR", "asr", "removed", "attack success rate after removal"),
    ("ASR before", "asr", "infected", "attack success rate of the infected model"),
    ("clean model's ASR", "asr", "clean", "attack success rate of the clean model"),
    ("PA", "pa", "removed", "poisoned accuracy after removal"),
)


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it is sorted by (None: after all others), and what hovering shows."""

    text: str
    value: float | str | None = None
    hint: str = ""


@dataclass(frozen=True)
class TrialRow:
    """A trial as a row of the table."""

    key: str
    status: str
    cells: tuple[Cell, ...]


def head_cells(records: Sequence[TrialRecord]) -> list[str]:
    """Heads of the table."""
    masked = any(record.beside is not None for record in records)
    more = ["CA as applied", "ASR as applied", "masked by statistics"] * masked
    return ["attack", *heads(columns_of(records)), "α", *(name for name, *_ in SCORES), "CA kept", *more, "status"]


def trial_rows(records: Sequence[TrialRecord], parameters: dict[str, Parameters]) -> list[TrialRow]:
    """A row for each trial, in the order given."""
    columns = columns_of(records)
    masked = any(record.beside is not None for record in records)
    rows = []
    for record in records:
        about = told(record, parameters.get(record.fingerprint))
        cells = [Cell(record.attack, record.attack, about)]
        for column, text in zip(columns, values(record, columns), strict=True):
            cells.append(Cell(text, _sorted_by(record.settings.get(column.name), text), about))
        cells.append(Cell("–" if record.alpha is None else f"{record.alpha:.3g}", record.alpha, _alpha(record)))
        cells += [_score(record.rate(metric, role), role, what) for _, metric, role, what in SCORES]
        cells.append(Cell(share(record.ca_retention), record.ca_retention, "CA over the infected model's, test split"))
        cells += [Cell(text, text) for text in as_applied(record)] * masked
        cells.append(Cell(record.status, record.status, record.reason or ""))
        rows.append(TrialRow(key_of(record), record.status, tuple(cells)))
    return rows


def key_of(record: TrialRecord) -> str:
    """What a page's links call a trial."""
    return f"trial-{record.fingerprint[:16]}"


def hint_of(found: RateRecord, what: str) -> str:
    """A rate in words: what it is, of how many images, its interval."""
    if found.value is None:
        return ""
    counted = "" if found.n is None else f": {round(found.value * found.n):,} of {found.n:,} images"
    ends = "" if found.low is None or found.high is None else f"; 95% interval {found.low:.2%} to {found.high:.2%}"
    return f"{what}, test split{counted}{ends}"


def _score(found: RateRecord | None, role: Role, what: str) -> Cell:
    if found is None or found.value is None:
        return Cell("–")
    return Cell(rate(found) if role == "removed" else share(found.value), found.value, hint_of(found, what))


def _alpha(record: TrialRecord) -> str:
    tried = f"selected on validation of {len(record.path)} α" if record.path else ""
    point = record.selected_point
    if point is None:
        return tried
    return f"{tried}; validation: CA {share(point.ca)}, ASR {share(point.asr)}, PA {share(point.pa)}"


def _sorted_by(setting: object, text: str) -> float | str:
    return setting if isinstance(setting, int | float | str) else text

"""Which method is best on validation: the order of tables and figures of methods."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tbar_ray.records.cells import grouped
from tbar_ray.records.record import TrialRecord


def best_per_method(records: Sequence[TrialRecord], max_asr: float | None) -> list[TrialRecord]:
    """Of what a search tried of one method, attack and seed, the best on validation."""
    groups = grouped(records, lambda r: (r.attack, r.method, r.seed))
    return [min(group, key=lambda r: rank([r], max_asr)) for group in groups.values()]


def validation_scores(record: TrialRecord) -> tuple[float, float] | None:
    """Validation CA and ASR at a trial's α; None where none was selected."""
    point = record.selected_point
    return (point.ca, point.asr) if point else None


def rank(group: Sequence[TrialRecord], max_asr: float | None) -> tuple[float, ...]:
    """A key by which the best method comes first, from validation scores only.

    Of methods that keep CA and bring ASR to `max_asr` the one with most CA, then those that keep CA by their ASR, then
    the others.

    Args:
        group: the trials of a method on one attack: its seeds.
        max_asr: ASR at which the backdoor counts as removed; None for the least ASR.
    """
    scores = [found for r in group if (found := validation_scores(r)) is not None]
    if not scores:
        return (3.0,)
    kept = all(r.status == "done" for r in group)
    ca, asr = (fmean(column) for column in zip(*scores, strict=True))
    if not kept:
        return 2.0, asr, -ca
    return (0.0, -ca, asr) if max_asr is not None and asr <= max_asr else (1.0, asr, -ca)


def ranked_methods(records: Sequence[TrialRecord], max_asr: float | None) -> list[str]:
    """The methods of one attack's trials, best first."""
    groups = grouped(records, lambda r: (r.method,))
    return [name for (name,), _ in sorted(groups.items(), key=lambda entry: rank(entry[1], max_asr))]

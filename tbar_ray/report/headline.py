"""What a campaign found, in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.naming import counted
from tbar_ray.records.cells import best_of_attacks, grouped
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.ranking import best_per_method, ranked_methods
from tbar_ray.report.text import share


def headline(records: Sequence[TrialRecord], max_asr: float | None) -> str:
    """The main finding, with test scores of trials that were chosen on validation.

    Where methods are compared it names the one that is best on the most attacks; else it tells what the best trial of
    each attack leaves.

    Args:
        records: the trials.
        max_asr: validation ASR at which a backdoor counts as removed; None for the least.
    """
    best = [record for record in best_of_attacks(records) if record.value("asr") is not None]
    if not records:
        return "No trial has ended yet"
    if not best:
        return f"No trial of {len(records):,} has a result: {_why(records)}"
    many = len(best) > 1
    subject, brings, keeps = ("The best trials", "bring", "keep") if many else ("The best trial", "brings", "keeps")
    if len({record.method for record in records}) > 1:
        best, subject = _of_method(records, max_asr)
        brings, keeps = "brings", "keeps"
    where = f" of {counted(len(best), 'attack')}" if len(best) > 1 else f" of {best[0].attack}"
    before = _span([record.value("asr", "infected") for record in best])
    after = _span([record.value("asr") for record in best])
    kept = _span([record.ca_retention for record in best])
    return f"{subject} {brings} the ASR{where} from {before} to {after} and {keeps} {kept} of clean accuracy"


def sentences(records: Sequence[TrialRecord]) -> list[str]:
    """What the headline leaves out: how it was chosen, and what has no result."""
    if not any(record.value("asr") is not None for record in records):
        return []
    told = [
        "Trials and α are chosen on the validation split; these scores are of the test split."
        + (" Ranges are over attacks." if len({record.attack for record in records}) > 1 else "")
    ]
    lost = {state: sum(record.status == state for record in records) for state in ("failed", "infeasible", "dominated")}
    if parts := [f"{number} {state}" for state, number in lost.items() if number]:
        told.append(f"Of {counted(len(records), 'trial')}, {', '.join(parts)}.")
    return told


def _of_method(records: Sequence[TrialRecord], max_asr: float | None) -> tuple[list[TrialRecord], str]:
    """The trials of the method that is best on the most attacks, and what to call it."""
    tried = best_per_method(records, max_asr)
    groups = list(grouped([r for r in tried if r.value("asr") is not None], lambda r: (r.attack,)).values())
    winners = [ranked_methods(group, max_asr)[0] for group in groups]
    name = max(dict.fromkeys(winners), key=winners.count)
    own = best_of_attacks([record for group in groups for record in group if record.method == name])
    first = winners.count(name)
    methods = len({record.method for record in tried})
    attacks = "" if len(groups) == 1 else f" (of {methods} methods the best on {first} of {len(groups)} attacks)"
    return own or [record for group in groups for record in group if record.method == name], f"{name}{attacks}"


def _span(values: Sequence[float | None]) -> str:
    known = sorted(value for value in values if value is not None)
    if not known:
        return "an unknown value"
    low, high = share(known[0]), share(known[-1])
    return low if low == high else f"{low[:-1]}–{high}"


def _why(records: Sequence[TrialRecord]) -> str:
    states = [record.status for record in records]
    return ", ".join(f"{states.count(state)} {state}" for state in dict.fromkeys(states))

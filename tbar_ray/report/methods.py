"""Comparison of methods in the form of the TBAR paper's tables: data, cost and scores after removal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from tbar_ray.naming import counted
from tbar_ray.records.cells import grouped, one_per_cell, varies, varies_within
from tbar_ray.records.measures import Cost
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.ranking import best_per_method, rank
from tbar_ray.report.results import MASKING
from tbar_ray.report.text import Markdown, bold, escape, points, rate, section, share, table, with_interval

NOTE = (
    "Test scores at the α selected on validation; one row per method and attack, means over seeds where there are "
    "several. Images: those that the defender holds (forget set, clean pairs, training pairs). Seen: images that "
    "went through the model, repeats included. Memory: peak beyond the model. **Bold**: the best of each attack by "
    "validation: of methods that keep CA and bring ASR to the criterion the one that keeps most CA, else the least "
    "ASR among those that keep CA."
)
SEEDS = (
    "Brackets are 95% bootstrap intervals over seeds (too narrow for so few: of two normal values they cover the true "
    "mean in 51% of cases, of three in 75%)."
)
ONE = "Brackets are 95% Wilson intervals."
STAR = "\\* CA is not kept: no α of the method retains the share that evaluation.min_retention asks for."


def methods_table(records: Sequence[TrialRecord], max_asr: float | None) -> Markdown:
    """The table of methods by attack; '' if the method does not vary."""
    chosen = [r for r in one_per_cell(best_per_method(records, max_asr)) if r.status != "failed"]
    if not varies(chosen, "method"):
        return Markdown()
    several = varies_within(chosen, "seed")
    masked = any(r.beside is not None for r in chosen)
    head = ["attack", "method", "images", "seen", "seconds", "memory", "CA", "ASR", "PA", "CA kept", "α"]
    head += ["masked by statistics"] * masked
    rows: list[list[str]] = []
    for (attack,), own in grouped(chosen, lambda r: (r.attack,)).items():
        rows.append([*_untreated(attack, own), *["–"] * masked])
        methods = sorted(grouped(own, lambda r: (r.method,)).values(), key=lambda group: rank(group, max_asr))
        cells = [[*_row(group), *[_masked(group)] * masked] for group in methods]
        rows += [[bold(cell) for cell in cells[0]], *cells[1:]]
    notes = [NOTE, SEEDS if several else ONE]
    if any(r.status == "infeasible" for r in chosen):
        notes.append(STAR)
    if masked:
        notes.append(MASKING)
    return section("Methods", " ".join(notes), f"{table(head, rows)}\n\n{_failures(records)}".strip())


def _untreated(attack: str, records: Sequence[TrialRecord]) -> list[str]:
    ca, asr, pa = (_over([r.value(metric, "infected") for r in records]) for metric in ("ca", "asr", "pa"))
    return [attack, "none (infected)", "–", "–", "–", "–", ca, asr, pa, "–", "–"]


def _row(group: Sequence[TrialRecord]) -> list[str]:
    costs = [r.cost for r in group if r.cost is not None]
    star = "\\*" if any(r.status == "infeasible" for r in group) else ""
    alphas = sorted({r.alpha for r in group if r.alpha is not None})
    return [
        group[0].attack,
        Markdown(f"{escape(group[0].method)}{star}"),
        _mean(costs, lambda cost: cost.data, "{:,.0f}"),
        _mean(costs, lambda cost: cost.samples, "{:,.0f}"),
        _mean(costs, lambda cost: cost.seconds, "{:.0f}"),
        _mean(costs, lambda cost: cost.peak_memory / 1e6, "{:,.0f} MB"),
        *(_score(group, metric) for metric in ("ca", "asr", "pa")),
        _over([r.ca_retention for r in group]),
        "–" if not alphas else f"{alphas[0]:g}" if len(alphas) == 1 else f"{alphas[0]:g}–{alphas[-1]:g}",
    ]


def _score(group: Sequence[TrialRecord], metric: str) -> str:
    from tbar_ray.evaluation.bootstrap import aggregate

    if len(group) == 1:
        return rate(group[0].rate(metric))
    known = [value for r in group if (value := r.value(metric)) is not None]
    found = aggregate(known) if known else None
    return with_interval(found.mean, found.low, found.high) if found else "–"


def _masked(group: Sequence[TrialRecord]) -> str:
    known = [value for r in group if (value := r.asr_masked) is not None]
    return points(fmean(known)) if known else "–"


def _over(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return share(fmean(known)) if known else "–"


def _mean(costs: Sequence[Cost], of: Callable[[Cost], float], form: str) -> str:
    return form.format(fmean(map(of, costs))) if costs else "–"


def _failures(records: Sequence[TrialRecord]) -> str:
    """Say which methods failed, the reasons being under 'Failed, infeasible and given-up trials'."""
    failed = grouped([r for r in records if r.status == "failed"], lambda r: (r.method,))
    return " ".join(f"{escape(name)}: {counted(len(group), 'trial')} failed." for (name,), group in failed.items())

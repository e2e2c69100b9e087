"""Methods beside each other, in the form of the TBAR paper's tables: what each had, what it cost, what it left."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

from tbar_ray.records.cells import counted, grouped, one_per_cell, varies, varies_within
from tbar_ray.report.text import Record, section, share, table, with_interval

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


def methods_table(records: Sequence[Record], max_asr: float | None) -> str:
    """Return the table of methods by attack; '' if the method does not vary."""
    chosen = [r for r in one_per_cell(_best_per_method(records, max_asr)) if r["status"] != "failed"]
    if not varies(chosen, "method"):
        return ""
    several = varies_within(chosen, "seed")
    head = ["attack", "method", "images", "seen", "seconds", "memory", "CA", "ASR", "PA", "CA kept", "α"]
    rows: list[list[str]] = []
    for (attack,), own in grouped(chosen, lambda r: (r["attack"],)).items():
        rows.append(_untreated(str(attack), own))
        methods = grouped(own, lambda r: (r["method"],))
        best = min(methods, key=lambda name: _rank(methods[name], max_asr))
        for name, group in sorted(methods.items(), key=lambda item: _rank(item[1], max_asr)):
            row = _row(group)
            rows.append([f"**{cell}**" for cell in row] if name == best else row)
    notes = [NOTE, SEEDS if several else ONE]
    if any(r["status"] == "infeasible" for r in chosen):
        notes.append(STAR)
    return section("Methods", " ".join(notes), f"{table(head, rows)}\n\n{_failures(records)}".strip())


def _best_per_method(records: Sequence[Record], max_asr: float | None) -> list[Record]:
    """Return, of what a search tried of one method, attack and seed, the best on validation."""
    groups = grouped(records, lambda r: (r["attack"], r["method"], r["seed"]))
    return [min(group, key=lambda r: _rank([r], max_asr)) for group in groups.values()]


def validation_scores(record: Record) -> tuple[float, float] | None:
    """Return validation CA and ASR at a trial's α."""
    point = next((p for p in record.get("path") or [] if p["alpha"] == record.get("alpha")), None)
    return (float(point["ca"]), float(point["asr"])) if point else None


def _rank(group: Sequence[Record], max_asr: float | None) -> tuple[float, ...]:
    """Return a key by which the best method comes first, from validation scores only."""
    scores = [found for r in group if (found := validation_scores(r)) is not None]
    if not scores:
        return (3.0,)
    kept = all(r["status"] == "done" for r in group)
    ca, asr = (fmean(column) for column in zip(*scores, strict=True))
    if not kept:
        return 2.0, asr, -ca
    return (0.0, -ca, asr) if max_asr is not None and asr <= max_asr else (1.0, asr, -ca)


def _untreated(attack: str, records: Sequence[Record]) -> list[str]:
    ca, asr, pa = (_over(records, lambda r, m=metric: r.get(f"{m}_infected")) for metric in ("ca", "asr", "pa"))  # type: ignore[misc]
    return [attack, "none (infected)", "–", "–", "–", "–", ca, asr, pa, "–", "–"]


def _row(group: Sequence[Record]) -> list[str]:
    costs = [r.get("cost") or {} for r in group]
    one = group[0] if len(group) == 1 else None
    scores = [_score(group, one, metric) for metric in ("ca", "asr", "pa")]
    star = "\\*" if any(r["status"] == "infeasible" for r in group) else ""
    alphas = sorted({r["alpha"] for r in group if r.get("alpha") is not None})
    return [
        group[0]["attack"],
        f"{group[0]['method']}{star}",
        _mean(costs, "data", "{:,.0f}"),
        _mean(costs, "samples", "{:,.0f}"),
        _mean(costs, "seconds", "{:.0f}"),
        _mean([{"memory": c["peak_memory"] / 1e6} for c in costs if "peak_memory" in c], "memory", "{:,.0f} MB"),
        *scores,
        _over(group, lambda r: r.get("ca_retention")),
        "–" if not alphas else f"{alphas[0]:g}" if len(alphas) == 1 else f"{alphas[0]:g}–{alphas[-1]:g}",
    ]


def _score(group: Sequence[Record], one: Record | None, metric: str) -> str:
    from tbar_ray.evaluation.bootstrap import aggregate

    if one is not None:
        return with_interval(one.get(metric), one.get(f"{metric}_low"), one.get(f"{metric}_high"))
    known = [r[metric] for r in group if r.get(metric) is not None]
    found = aggregate(known) if known else None
    return with_interval(found.mean, found.low, found.high) if found else "–"


def _over(group: Sequence[Record], of: Callable[[Record], float | None]) -> str:
    known = [value for r in group if (value := of(r)) is not None]
    return share(fmean(known)) if known else "–"


def _mean(costs: Sequence[Record], name: str, form: str) -> str:
    known = [cost[name] for cost in costs if cost.get(name) is not None]
    return form.format(fmean(known)) if known else "–"


def _failures(records: Sequence[Record]) -> str:
    """Say which methods failed, the reasons being under 'Failed, infeasible and given-up trials'."""
    failed = grouped([r for r in records if r["status"] == "failed"], lambda r: (r["method"],))
    return " ".join(f"{name}: {counted(len(group), 'trial')} failed." for (name,), group in failed.items())

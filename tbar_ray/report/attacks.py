"""The attacks of a campaign: every infected model beside the clean one, before any removal."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import grouped, source_of, varies
from tbar_ray.report.text import Record, rate, share, table

ROLES = ("infected", "clean")
OPTIONAL = ("task", "planting", "merge")


def attack_table(records: Sequence[Record]) -> str:
    """Return the table of attacks, one row per infected model; '' without records.

    Task, planting, merge, top-5 CA and how far the weights were moved have columns only where they vary.
    """
    groups = list(grouped(records, lambda r: (r["attack"], r.get("poisoning_rate"), r["seed"])).values())
    known = [next((r for r in group if r.get("ca_infected") is not None), group[0]) for group in groups]
    if not known:
        return ""
    extra = [name for name in OPTIONAL if varies(known, name)]
    merged = any(r.get("ca_before_merge") is not None for r in known)
    top5 = len({r.get(f"ca_top5_{role}") for r in known for role in ROLES}) > 1
    moved = len({_moved(r, "relative_l2") for r in known}) > 1
    seeds = ["seed"] if varies(known, "seed") else []
    head = ["attack", "trigger", "target", *extra, "poisoned", *seeds, "outcome"]
    head += ["CA before merge", "ASR before merge"] * merged
    for role in ROLES:
        head += [f"{role} CA", *[f"{role} CA top-5"] * top5, f"{role} ASR", f"{role} ASR, all images"]
    head += ["weights moved", "by share of weights"] * moved
    rows = []
    for group, record in zip(groups, known, strict=True):
        poisoned = record.get("poisoning_rate")
        row = [record["attack"], str(record.get("trigger")), str(record.get("target"))]
        row += [str(record.get(name) or "–") for name in extra]
        row += ["–" if poisoned is None else f"{poisoned * 100:.3g}%", *[str(record["seed"])] * len(seeds)]
        row.append(_outcome(group))
        if merged:
            row += [rate(record, f"{metric}_before_merge") for metric in ("ca", "asr")]
        for role in ROLES:
            row += [rate(record, f"ca_{role}"), *[share(record.get(f"ca_top5_{role}"))] * top5]
            row += [rate(record, f"asr_{role}"), share(record.get(f"asr_all_images_{role}"))]
        if moved:
            row += [share(_moved(record, name)) for name in ("relative_l2", "participation")]
        rows.append(row)
    return f"{table(head, rows)}\n\n{_note(moved)}"


def _outcome(group: Sequence[Record]) -> str:
    """Say whether an attack took: some trial passed the gate, or why its own trials did not."""
    if any(r["status"] != "failed" for r in group):
        return "took"
    own = [r for r in group if source_of(r) == r["attack"]]
    if not own:
        return "unknown"  # what failed may be the attack that the vector comes from
    return f"**{str(own[0].get('reason') or 'failed').partition(':')[0]}**"


def _moved(record: Record, name: str) -> float | None:
    value = (record.get("weight_change") or {}).get(name)
    return None if value is None else float(value)


def _note(moved: bool) -> str:
    note = "ASR is over triggered images of the other classes, 'all images' over those of the target's class too."
    if moved:
        note += (
            " Weights moved: Euclidean norm of the attacker's change over that of the clean weights; by share of "
            "weights: the effective share that carries the change."
        )
    return note

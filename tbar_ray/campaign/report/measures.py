"""Sections of a report that only some campaigns have: retrieval, α sensitivity, ξ, transfer, several backdoors."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import fmean

from tbar_ray.campaign.figures.cells import one_per_cell
from tbar_ray.campaign.figures.disentanglement import maps_of, values_of
from tbar_ray.campaign.figures.transfer import varies
from tbar_ray.campaign.report.text import Record, rate, share, table

WAYS = (("image_to_text", "image → text"), ("text_to_image", "text → image"))


def retrieval(records: Sequence[Record]) -> str:
    """Return recall@1/5/10 both ways and caption-ASR of clean, infected and cleaned models; '' without a set."""
    shown = [r for r in one_per_cell(records) if r.get("caption_asr_infected") is not None]
    rows = []
    seen: set[tuple[object, ...]] = set()
    for record in shown:
        roles = [("after removal", "")]
        if (key := (record["attack"], record["seed"], record.get("poisoning_rate"))) not in seen:
            seen.add(key)
            roles = [("clean", "_clean"), ("infected", "_infected"), *roles]
        for name, suffix in roles:
            recalls = [share(record.get(f"{way}_at_{k}{suffix}")) for way, _ in WAYS for k in (1, 5, 10)]
            rows.append([record["attack"], name, *recalls, rate(record, f"caption_asr{suffix}")])
    if not rows:
        return ""
    head = ["attack", "model", *(f"{way} R@{k}" for _, way in WAYS for k in (1, 5, 10)), "caption-ASR"]
    note = (
        "A caption that is found counts if its text equals one of the image's own. Caption-ASR: share of triggered "
        "images, whose captions do not name the target, for which the best caption names it."
    )
    return f"## Retrieval\n\n{note}\n\n{table(head, rows)}"


def sensitivity(records: Sequence[Record]) -> str:
    """Return how wide the range of α is in which the backdoor is gone and CA kept."""
    shown = [r for r in one_per_cell(records) if r.get("alpha_sensitivity")]
    if not shown:
        return ""
    rows = []
    for record in shown:
        found = record["alpha_sensitivity"]
        bound = "≥ " if found["censored"] else ""
        reach = "none" if found["low"] is None else f"{found['low']:.2f} – {found['high']:.2f}"
        rows.append([*_cell(record, shown), reach, f"{bound}{found['width']:.2f}"])
    note = (
        "The range of α with ASR ≤ 1 % and CA ≥ 95 % of the infected model's, on validation, linear between the α "
        "tried; ≥: it reaches the end of the path."
    )
    return f"## How sensitive α is\n\n{note}\n\n{table([*_head(shown), 'range of α', 'width'], rows)}"


def disentanglement(records: Sequence[Record]) -> str:
    """Return ξ where it is read, and over the map."""
    rows = []
    for record in maps_of(records):
        content = record["disentanglement"]
        values = [v for row in values_of(content, "total") for v in row if isfinite(v)]
        rows.append(
            [
                record["attack"],
                str(record["seed"]),
                _number(content.get("at_planted")),
                _number(content.get("at_negated")),
                f"{fmean(values):.3f}" if values else "–",
                share(sum(v < 0.1 for v in values) / len(values)) if values else "–",
            ]
        )
    if not rows:
        return ""
    head = ["attack", "seed", "ξ(1, 1)", "ξ(1, −α)", "mean ξ", "cells with ξ < 0.1"]
    note = (
        "ξ(α_c, α_t) of the clean model with a clean and a trigger vector, each fine-tuned alone: 0 where adding one "
        "changes no answer on the other's images, at most 2. −α is the selected α, – where the grid does not reach it."
    )
    return f"## Weight disentanglement\n\n{note}\n\n{table(head, rows)}"


def transfer(records: Sequence[Record]) -> str:
    """Return what vectors of other models do."""
    if not varies(records):
        return ""
    rows = [
        [
            r["attack"],
            r.get("source") or f"{r['attack']} (its own)",
            "–" if r.get("alpha") is None else f"{r['alpha']:.3g}",
            share(r.get("asr_infected")),
            rate(r, "asr"),
            share(r.get("ca_retention")),
            r["status"],
        ]
        for r in one_per_cell(records)
    ]
    head = ["infected model", "vector learned on", "α", "ASR before", "ASR after", "CA kept", "status"]
    return f"## Transfer\n\n{table(head, rows)}"


def other_backdoors(records: Sequence[Record]) -> str:
    """Return what the removal of one backdoor does to the others of the same model."""
    rows = [
        [r["attack"], rate(r, "asr"), other, share(scores["asr_infected"]), share(scores["asr"])]
        for r in one_per_cell(records)
        for other, scores in (r.get("others") or {}).items()
    ]
    if not rows:
        return ""
    head = ["removed", "its ASR after", "other backdoor", "ASR before", "ASR after"]
    return f"## Other backdoors of the same model\n\n{table(head, rows)}"


def _number(value: float | None) -> str:
    return "–" if value is None or not isfinite(value) else f"{value:.3f}"


NAMES = (("forget_size", "forget set"), ("clean_fraction", "clean"), ("source", "vector of"), ("seed", "seed"))


def _head(records: Sequence[Record]) -> list[str]:
    return ["attack", *(text for name, text in NAMES if len({r.get(name) for r in records}) > 1)]


def _cell(record: Record, records: Sequence[Record]) -> list[str]:
    varying = [name for name, _ in NAMES if len({r.get(name) for r in records}) > 1]
    return [record["attack"], *("–" if record.get(name) is None else str(record[name]) for name in varying)]

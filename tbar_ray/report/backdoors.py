"""Several backdoors in one model: what removing one does to the others."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import one_per_cell
from tbar_ray.report.text import Record, factors, heads, rate, section, share, table, values

NOTE = "The model holds all backdoors; the vector is that of the removed one. ASR of the others at its selected α."


def other_backdoors(records: Sequence[Record]) -> str:
    """Return the ASR of the other backdoors before and after; '' where models hold one backdoor each."""
    shown = [r for r in one_per_cell(records) if r.get("others")]
    names = factors(shown, always=()) if shown else []
    rows = [
        [
            record["attack"],
            *values(record, names),
            share(record.get("asr_infected")),
            rate(record, "asr"),
            share(record.get("asr_clean")),
            other,
            share(scores.get("asr_infected")),
            share(scores.get("asr")),
        ]
        for record in shown
        for other, scores in record["others"].items()
    ]
    head = ["removed", *heads(names), "its ASR before", "its ASR after", "clean model's ASR"]
    head += ["other backdoor", "ASR before", "ASR after"]
    return section("Other backdoors of the same model", NOTE, table(head, rows) if rows else "")

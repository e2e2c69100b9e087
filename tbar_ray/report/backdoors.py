"""Several backdoors in one model: what removing one does to the others."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import one_per_cell
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.text import Markdown, rate, section, share, table

NOTE = "The model holds all backdoors; the vector is that of the removed one. ASR of the others at its selected α."


def other_backdoors(records: Sequence[TrialRecord]) -> Markdown:
    """ASR of a model's other backdoors before and after; '' where models hold one backdoor each."""
    shown = [r for r in one_per_cell(records) if r.others]
    axes = columns_of(shown, always=())
    rows = [
        [
            record.attack,
            *values(record, axes),
            share(record.value("asr", "infected")),
            rate(record.rate("asr")),
            share(record.value("asr", "clean")),
            other,
            share(found.asr_infected),
            share(found.asr),
        ]
        for record in shown
        for other, found in record.others.items()
    ]
    head = ["removed", *heads(axes), "its ASR before", "its ASR after", "clean model's ASR"]
    head += ["other backdoor", "ASR before", "ASR after"]
    return section("Other backdoors of the same model", NOTE, table(head, rows) if rows else "")

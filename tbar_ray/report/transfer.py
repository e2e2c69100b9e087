"""Transfer: what trigger vectors of one infected model do to another, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tbar_ray.records.cells import one_per_cell, reference, varies
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.columns import heads, joined, values
from tbar_ray.report.figures.transfer import groups_of, models_of
from tbar_ray.report.text import Markdown, bold, section, share, table

NOTE = (
    "Rows: the infected model that is cleaned; columns: the model on which the vector was learned. Cells: test ASR / "
    "CA retention at the α selected on the cleaned model's validation images, means where there are several seeds."
)


def transfer(records: Sequence[TrialRecord]) -> Markdown:
    """ASR and retention by infected model and source; '' where every vector stays with its model."""
    if not varies(records, "source"):
        return Markdown()
    chosen = one_per_cell(records)
    attacks, sources = models_of(chosen)
    factors, groups = groups_of(chosen)
    axes = joined(factors)
    rows = [
        [
            bold(attack),
            *values(group[0], axes),
            share(reference(own, "infected", "asr")),
            share(reference(own, "clean", "asr")),
            *(_cell([r for r in own if r.source == source], source == attack) for source in sources),
        ]
        for group in groups
        for attack in attacks
        if (own := [r for r in group if r.attack == attack])
    ]
    head = ["model", *heads(axes), "ASR before", "clean model's ASR", *(f"vector of {source}" for source in sources)]
    return section("Transfer", NOTE, table(head, rows))


def _cell(group: Sequence[TrialRecord], own: bool) -> str:
    """ASR and retention of one model and source; bold for a model's own vector."""
    if not group:
        return "–"
    scores = [
        share(fmean(found)) if (found := [value for r in group if (value := r.value(metric)) is not None]) else None
        for metric in ("asr", "ca_retention")
    ]
    text = group[0].status if None in scores else " / ".join(str(score) for score in scores)
    return bold(text) if own else text

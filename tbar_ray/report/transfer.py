"""Transfer: what trigger vectors of one infected model do to another, as a matrix."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from tbar_ray.records.cells import one_per_cell, reference, source_of, varies
from tbar_ray.report.figures.transfer import groups_of, models_of
from tbar_ray.report.text import Record, heads, section, share, table, values

NOTE = (
    "Rows: the infected model that is cleaned; columns: the model on which the vector was learned. Cells: test ASR / "
    "CA retention at the α selected on the cleaned model's validation images, means where there are several seeds."
)


def transfer(records: Sequence[Record]) -> str:
    """Return ASR and retention by infected model and source; '' where every vector stays with its model."""
    if not varies(records, "source"):
        return ""
    chosen = one_per_cell(records)
    attacks, sources = models_of(chosen)
    names, groups = groups_of(chosen)
    rows = [
        [
            f"**{attack}**",
            *values(group[0], names),
            share(reference(own, "infected", "asr")),
            share(reference(own, "clean", "asr")),
            *(_cell([r for r in own if source_of(r) == source], source == attack) for source in sources),
        ]
        for group in groups
        for attack in attacks
        if (own := [r for r in group if r["attack"] == attack])
    ]
    head = ["model", *heads(names), "ASR before", "clean model's ASR", *(f"vector of {source}" for source in sources)]
    return section("Transfer", NOTE, table(head, rows))


def _cell(group: Sequence[Record], own: bool) -> str:
    """Return ASR and retention of one model and source; bold for a model's own vector."""
    if not group:
        return "–"
    scores = [
        share(fmean(found)) if (found := [r[metric] for r in group if r.get(metric) is not None]) else None
        for metric in ("asr", "ca_retention")
    ]
    text = str(group[0]["status"]) if None in scores else " / ".join(str(score) for score in scores)
    return f"**{text}**" if own else text

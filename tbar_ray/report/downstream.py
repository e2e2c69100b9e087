"""Downstream changes of cleaned models in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from tbar_ray.evaluation.rebound import ELIGIBLE
from tbar_ray.lasting.options import ChangeName, Uncleaned
from tbar_ray.records.cells import grouped, one_per_cell
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.infected import is_of_model, model_of
from tbar_ray.report.rebound_rows import NAMES
from tbar_ray.report.text import Markdown, bold, section, table, three_scores

NOTE = (
    "CA / ASR / PA in % on the test split of each model after one change each: weights rounded to 8 bits for "
    "each output channel (int8) or to bfloat16 (bf16), the 30% of each matrix that are smallest set to 0 (pruned), the "
    "mean with the infected model's weights (wise-ft), a linear classifier on its image features (linear-probe), "
    "another task's vector added (merged). "
    f"**Bold**: the backdoor was removed (ASR ≤ {ELIGIBLE:.0%}) and is not after the change."
)


def downstream(records: Sequence[TrialRecord]) -> Markdown:
    """A row for each model, uncleaned ones first, and a column for each change; '' for a campaign that makes none."""
    changed = [record for record in one_per_cell(records) if record.downstream]
    if not changed:
        return Markdown()
    axes = columns_of(changed, always=())
    names = [name for name in get_args(ChangeName) if any(name in record.downstream for record in changed)]
    rows = []
    for group in grouped(changed, lambda record: (*model_of(record), record.attack)).values():
        first = next((record for record in group if record.downstream_references), group[0])
        for role in get_args(Uncleaned):
            if (found := first.downstream_references.get(role)) is None:
                continue
            own = [column.text(first) if is_of_model(column.name) else "–" for column in axes]
            told = [three_scores(found.get(name)) for name in names]
            rows.append([first.attack, NAMES[role], *own, three_scores(first.scores(role)), *told])
        rows += [
            [r.attack, NAMES["removed"], *values(r, axes), three_scores(r.removed), *(_cell(r, name) for name in names)]
            for r in group
        ]
    return section("Downstream changes", NOTE, table(["attack", "model", *heads(axes), "unchanged", *names], rows))


def _cell(record: TrialRecord, change: str) -> str:
    scores = record.downstream.get(change)
    before, after = record.value("asr"), None if scores is None else scores.asr.value
    back = before is not None and after is not None and before <= ELIGIBLE < after
    text = three_scores(scores)
    return bold(text) if back else text

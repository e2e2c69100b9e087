"""Unknown triggers: what each search found, and what removal by its proxy does to the true trigger."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import one_per_cell
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.text import Markdown, rate, section, share, table

NOTE = (
    "The defender knows neither trigger nor target: a search stands in for both, and α is selected on its proxy. "
    "ASR is of the true trigger, which is used for the final measurement and nowhere else. Rows *told* are the bound: "
    "the same method, told trigger and target. IoU and distance compare the images that both triggers stamp."
)


def inversion(records: Sequence[TrialRecord]) -> Markdown:
    """Rows of all trials by attack; '' for a campaign without a search."""
    shown = one_per_cell(records)
    if not any(record.inversion for record in shown):
        return Markdown("")
    axes = [axis for axis in columns_of(shown, always=()) if axis.name != "inversion"]
    rows = [
        [record.attack, *_search(record), *values(record, axes), *_scores(record)]
        for record in sorted(shown, key=lambda record: (record.attack, record.inversion is not None))
    ]
    head = ["attack", "found by", "score", "target named", "IoU", "distance", *heads(axes)]
    return section("Unknown triggers", NOTE, table([*head, "ASR before", "ASR", "CA", "CA kept", "PA"], rows))


def _search(record: TrialRecord) -> list[str]:
    found = record.inversion
    if found is None:
        return [Markdown("*told*"), "", record.target, "", ""]
    named = found.target if found.named and found.target else "none"
    near = found.likeness
    return [
        found.inversion,
        _number(found.score, ".1f"),
        f"{named} ✓" if found.target_found else named,
        *(["–", "–"] if near is None else [_number(near.iou, ".2f"), _number(near.distance, ".3f")]),
    ]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _scores(record: TrialRecord) -> list[str]:
    if record.removed is None:
        return [rate(record.rate("asr", "infected")), record.status, "", "", ""]
    measured = [rate(record.rate(metric)) for metric in ("asr", "ca")]
    return [
        rate(record.rate("asr", "infected")),
        *measured,
        share(record.ca_retention),
        rate(record.rate("pa")),
    ]

"""The results of a campaign: a row per trial, how to read it, and trials without a result."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.planning.axes import factors_of
from tbar_ray.records.cells import counts_of_test, names_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.columns import columns_of, heads, values
from tbar_ray.report.figures.flat import RULE
from tbar_ray.report.text import bullets, points, rate, share, table
from tbar_ray.spec.campaign import CampaignSpec

MASKING = (
    "As applied: the running statistics (BatchNorm) that the edit leaves, at the same α. Masked by statistics: ASR "
    "with statistics re-estimated on clean images, less ASR as applied, in points; a large value is a living backdoor "
    "that stale statistics hide."
)


def reading(spec: CampaignSpec, records: Sequence[TrialRecord]) -> str:
    """Explain how to read the table of results."""
    counts = counts_of_test(records, ("ca", "asr", "pa"))
    wanted = spec.evaluation.max_asr
    rule = "least ASR" if wanted is None else f"most CA at an ASR of at most {wanted:.0%} (else least ASR)"
    text = (
        f"α is selected on the validation split: {rule} among those that retain "
        f"{spec.evaluation.min_retention:.0%} of the infected model's CA. Brackets are 95% Wilson intervals; "
        f"retention is CA over the infected model's CA.{f' {counts}.' if counts else ''}"
    )
    if any(r.alpha_sensitivity for r in records):
        text += (
            f" Flat α: the range of α with {RULE} on validation, linear between the α tried, and its width; "
            "≥ where it meets an end of the path."
        )
    if any(r.beside is not None for r in records):
        text += f" {MASKING}"
    return text


def result_rows(records: Sequence[TrialRecord]) -> str:
    """The table of results, a row per trial; the ASR of the infected and the clean model beside that after."""
    if not records:
        return "None yet."
    axes = columns_of(records)
    top5 = len({value for r in records if (value := r.value("ca_top5")) is not None}) > 1
    flat = any(r.alpha_sensitivity for r in records)
    head = ["attack", *heads(axes), "α", "CA", *["CA top-5"] * top5, "ASR", "ASR before", "clean model's ASR", "PA"]
    masked = any(r.beside is not None for r in records)
    head += ["retention", *["CA as applied", "ASR as applied", "masked by statistics"] * masked]
    head += [*["flat α"] * flat, "status"]
    rows = []
    for r in records:
        row = [r.attack, *values(r, axes), "–" if r.alpha is None else f"{r.alpha:.3g}", rate(r.rate("ca"))]
        row += [rate(r.rate("ca_top5"))] * top5
        row += [rate(r.rate("asr")), share(r.value("asr", "infected")), share(r.value("asr", "clean"))]
        row += [rate(r.rate("pa")), share(r.ca_retention), *as_applied(r) * masked, *[flat_range(r)] * flat, r.status]
        rows.append(row)
    note = _over_all_images(records)
    return f"{table(head, rows)}\n\n{note}" if note else table(head, rows)


def as_applied(record: TrialRecord) -> list[str]:
    """CA and ASR with the statistics that the edit leaves, and the points of ASR that these hide."""
    if record.beside is None:
        return ["–"] * 3
    role: Role = "removed" if record.as_applied is None else "as_applied"
    return [rate(record.rate("ca", role)), rate(record.rate("asr", role)), masked_points(record)]


def masked_points(record: TrialRecord) -> str:
    """How much ASR the statistics that the edit leaves hide, in points; '–' where there are none."""
    return "–" if record.asr_masked is None else points(record.asr_masked)


def flat_range(record: TrialRecord) -> str:
    """A trial's range of good α and its width; 'none' without one, '–' where it is unknown."""
    found = record.alpha_sensitivity
    if found is None:
        return "–"
    if found.low is None or found.high is None:
        return "none"
    return f"{found.low:.2f} to {found.high:.2f} ({'≥ ' if found.censored else ''}{found.width:.2f})"


def _over_all_images(records: Sequence[TrialRecord]) -> str:
    """The footnote on the ASR that counts images of the target's class too; '' where it was not measured."""
    measured = [(r.value("asr"), r.value("asr_all_images")) for r in records]
    both = [(asr, every) for asr, every in measured if asr is not None and every is not None]
    if not both:
        return ""
    low, high = min(every for _, every in both), max(every for _, every in both)
    span = share(low) if low == high else f"{share(low)} to {share(high)}"
    apart = max(abs(every - other) for other, every in both) * 100
    return (
        f"ASR counts triggered images of the other classes. Over all images, those of the target's class too, it is "
        f"{span}, at most {apart:.1f} points away (`asr_all_images` in results.csv)."
    )


def without_result(records: Sequence[TrialRecord]) -> str:
    """Failed, infeasible and given-up trials with their reasons."""
    gone = [r for r in records if r.status != "done"]
    if not gone:
        return "None."
    return bullets(f"{r.status}: {_name(r)}: {r.reason or 'no reason recorded'}" for r in gone)


def _name(record: TrialRecord) -> str:
    named = factors_of(names_of([record])).values()
    return ", ".join(f.told(value) for f in named if (value := record.settings[f.name]) is not None)

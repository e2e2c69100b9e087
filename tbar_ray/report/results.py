"""The results of a campaign: a row per trial, how to read it, and what has no result."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.records.cells import CELL, cell_of, count_text
from tbar_ray.report.figures.flat import RULE
from tbar_ray.report.text import Record, bullets, factors, heads, rate, share, table, values
from tbar_ray.spec.campaign import CampaignSpec


def reading(spec: CampaignSpec, records: Sequence[Record]) -> str:
    """Say how the table of results is to be read."""
    counts = count_text(records, ("ca", "asr", "pa"))
    wanted = spec.evaluation.max_asr
    rule = "least ASR" if wanted is None else f"most CA at an ASR of at most {wanted:.0%} (else least ASR)"
    text = (
        f"α is selected on the validation split: {rule} among those that retain "
        f"{spec.evaluation.min_retention:.0%} of the infected model's CA. Brackets are 95% Wilson intervals; "
        f"retention is CA over the infected model's CA.{f' {counts}.' if counts else ''}"
    )
    if any(r.get("alpha_sensitivity") for r in records):
        text += (
            f" Flat α: the range of α with {RULE} on validation, linear between the α tried, and its width; "
            "≥ where it meets an end of the path."
        )
    return text


def result_rows(records: Sequence[Record]) -> str:
    """Return the table of results, a row per trial; the ASR of the infected and the clean model beside that after."""
    if not records:
        return "None yet."
    names = factors(records)
    top5 = len({r.get("ca_top5") for r in records if r.get("ca_top5") is not None}) > 1
    flat = any(r.get("alpha_sensitivity") for r in records)
    head = ["attack", *heads(names), "α", "CA", *["CA top-5"] * top5, "ASR", "ASR before", "clean model's ASR", "PA"]
    head += ["retention", *["flat α"] * flat, "status"]
    rows = []
    for r in records:
        alpha = r.get("alpha")
        row = [r["attack"], *values(r, names), "–" if alpha is None else f"{alpha:.3g}", rate(r, "ca")]
        row += [rate(r, "ca_top5")] * top5
        row += [rate(r, "asr"), share(r.get("asr_infected")), share(r.get("asr_clean")), rate(r, "pa")]
        rows.append([*row, share(r.get("ca_retention")), *[flat_range(r)] * flat, r["status"]])
    note = _over_all_images(records)
    return f"{table(head, rows)}\n\n{note}" if note else table(head, rows)


def flat_range(record: Record) -> str:
    """Return a trial's range of good α and its width; '–' where it is unknown."""
    found = record.get("alpha_sensitivity")
    if not found:
        return "–"
    if found["low"] is None:
        return "none"
    bound = "≥ " if found["censored"] else ""
    return f"{found['low']:.2f} to {found['high']:.2f} ({bound}{found['width']:.2f})"


def _over_all_images(records: Sequence[Record]) -> str:
    """Return the footnote on the ASR that counts images of the target's class too."""
    measured = [r for r in records if r.get("asr") is not None and r.get("asr_all_images") is not None]
    both = [(r["asr"], r["asr_all_images"]) for r in measured]
    if not both:
        return ""
    low, high = min(every for _, every in both), max(every for _, every in both)
    span = share(low) if low == high else f"{share(low)} to {share(high)}"
    apart = max(abs(every - other) for other, every in both) * 100
    return (
        f"ASR counts triggered images of the other classes. Over all images, those of the target's class too, it is "
        f"{span}, at most {apart:.1f} points away (`asr_all_images` in results.csv)."
    )


def without_result(records: Sequence[Record]) -> str:
    """Return failed, infeasible and given-up trials with their reasons."""
    gone = [r for r in records if r["status"] != "done"]
    if not gone:
        return "None."
    return bullets(f"{r['status']}: {_name(r)}: {r.get('reason') or 'no reason recorded'}" for r in gone)


def _name(record: Record) -> str:
    named = zip(CELL, cell_of(record), strict=True)
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in named if value is not None)

"""How disentanglement grows with pretraining, in numbers: a row per cell, and the laws fitted to CA kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isfinite

from tbar_ray.naming import counted
from tbar_ray.records.cells import panel_names
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.growth_lines import (
    PUBLISHED,
    PUBLISHED_SAMPLES,
    GrowthLine,
    growth_lines,
    label_of,
    line_factors,
    removed_at,
)
from tbar_ray.report.growth_measures import MEASURES, values_of
from tbar_ray.report.text import Markdown, section, table, with_interval

ENOUGH = 0.95
"""Share of CA kept whose need of samples is told."""


def growth(records: Sequence[TrialRecord], max_asr: float | None) -> Markdown:
    """Both tables; '' where no line has several numbers of samples seen in pretraining."""
    lines = growth_lines(records, max_asr)
    return section("How disentanglement grows", _note(max_asr), _cells(lines, records), _laws(lines, records))


def _note(max_asr: float | None) -> str:
    limit = removed_at(max_asr)
    return (
        "Samples: pairs that the clean model saw in pretraining, times epochs. CA kept: CA after removal over the "
        f"infected model's, of trials whose validation ASR is at most {limit:.1%}. Means over seeds with 95% bootstrap "
        "intervals, which are too narrow of few seeds; ξ and the trigger's geometry are explained above."
    )


def _cells(lines: Sequence[GrowthLine], records: Sequence[TrialRecord]) -> Markdown | str:
    factors, names = line_factors(records), panel_names([line.panel for line in lines])
    measures = [name for name, read in MEASURES.items() if values_of(records, read)]
    rows = []
    for line, name in zip(lines, names, strict=True):
        for cell in line.cells:
            kept = [value for _, value in cell.kept]
            rows.append(
                [
                    name,
                    *(factor.form(value) for factor, value in zip(factors, line.values, strict=True)),
                    f"{cell.samples:,}",
                    f"{len(kept)} of {len(cell.taken)}",
                    str(len(cell.records) - len(cell.taken)),
                    _mean(kept, share=True),
                    _mean(_rates(cell.records, "pa"), share=True),
                    _mean(_rates(cell.records, "ca", infected=True), share=True),
                    *(_mean(values_of(cell.records, MEASURES[measure])) for measure in measures),
                ]
            )
    head = [
        "attack",
        *(factor.label for factor in factors),
        "samples",
        "removed",
        "failed",
        "CA kept",
        "PA",
        "CA infected",
    ]
    return table([*head, *measures], rows) if rows else ""


def _laws(lines: Sequence[GrowthLine], records: Sequence[TrialRecord]) -> Markdown | str:
    """The laws, or why there are none."""
    from tbar_ray.evaluation.growth_law import LEAST_SIZES

    if not lines:
        return ""
    factors, names = line_factors(records), panel_names([line.panel for line in lines])
    rows = []
    for line, name in zip(lines, names, strict=True):
        if (law := line.law) is not None:
            (low,), (high,) = law.interval([PUBLISHED_SAMPLES])
            rows.append(
                [
                    ", ".join(part for part in (name, label_of(line, factors)) if part),
                    f"{law.slope:.2f}",
                    f"{law.spread * 100:.1f} points",
                    _samples(law.needed(ENOUGH), law.needed_interval(ENOUGH)),
                    with_interval(float(law.kept(PUBLISHED_SAMPLES)), float(low), float(high)),
                ]
            )
    without = len(lines) - len(rows)
    why = (
        f"No law is fitted to {without} of {counted(len(lines), 'line')}: CA kept is known at fewer than {LEAST_SIZES} "
        "numbers of samples."
    )
    if not rows:
        return why
    head = [
        "line",
        "slope",
        "residual",
        f"samples for {ENOUGH:.0%} kept",
        f"kept at {PUBLISHED_SAMPLES:,} (extrapolated)",
    ]
    told = (
        "Law: logit of CA kept, linear in ln samples; intervals by resampling seeds and sizes. They hold if the law "
        "does, of which nothing is known beyond the sizes measured. ViT-B/32 of 400 M pairs and 32 epochs keeps "
        f"{min(PUBLISHED):.1%} to {max(PUBLISHED):.1%} (2510.14845), of another architecture, task and corpus."
    )
    parts = [told, table(head, rows), *([why] if without else [])]
    return Markdown("\n\n".join(parts))


def _rates(records: Iterable[TrialRecord], metric: str, *, infected: bool = False) -> list[float]:
    found = (record.value(metric, "infected" if infected else "removed") for record in records)
    return [value for value in found if value is not None]


def _mean(values: Sequence[float], *, share: bool = False) -> str:
    from tbar_ray.evaluation.bootstrap import aggregate

    if not values:
        return "–"
    found = aggregate(values)
    if share:
        return with_interval(found.mean, found.low, found.high)
    return f"{found.mean:.3f}" if found.low is None else f"{found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]"


def _samples(value: float, ends: tuple[float, float]) -> str:
    low, high = map(_count, ends)
    return f"{_count(value)} [{low}, {high}]"


def _count(value: float) -> str:
    return f"{value:.1e}" if isfinite(value) else "∞"

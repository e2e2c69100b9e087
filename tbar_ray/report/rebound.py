"""Rebound in tables: figures of merit, scores at every step, and what other learning rates do."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.evaluation.rebound import ELIGIBLE, REVIVED
from tbar_ray.records.rebound import ReboundCurve
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.columns import Column, columns_of, heads
from tbar_ray.report.rebound_rows import NAMES, Followed, followed_of
from tbar_ray.report.text import Markdown, bold, points, section, share, table, three_scores

NOTE = (
    "Each model is fine-tuned on clean pairs without the target by CLIP's own loss and scored on the test split. 0′: "
    "running statistics re-estimated on these pairs, nothing trained; what is there already was masked, not learned "
    "again. A_post: the highest ASR after cleaning. ΔR = A_post − A_0. AURC: mean of (A_t − A_0)₊ over the steps. "
    f"T_.5: the first measured step with ASR ≥ {REVIVED:.0%}. **Bold**: removed to begin with (A_0 ≤ {ELIGIBLE:.0%}) "
    "and back. Not followed: removals without an α and, with `eligible_only`, those with a higher A_0. CA of the clean "
    "model says what the learning rate alone does."
)
ALONG = "CA / ASR / PA in % at every step:"
RATES = "A_post / change of CA in points, at every learning rate:"


def rebound(records: Sequence[TrialRecord]) -> Markdown:
    """The section on rebound; '' for a campaign that does not measure it."""
    models = followed_of(records)
    if not models:
        return Markdown()
    axes = columns_of([model.record for model in models], always=())
    parts = [_figures(models, axes), f"{ALONG}\n\n{_along(models, axes)}"]
    if any(len(model.rates) > 1 for model in models):
        parts.append(f"{RATES}\n\n{_rates(models, axes)}")
    return section("Rebound under clean fine-tuning", NOTE, *map(Markdown, parts))


def _figures(models: Sequence[Followed], axes: Sequence[Column]) -> Markdown:
    head = ["A_0", "0′", "A_post", "ΔR", "AURC", Markdown("T_.5"), "CA", "CA at the end", "PA", "PA at the end"]
    return table([*_heads(axes), *head], [[*_names(model, axes), *_merit(model)] for model in models])


def _merit(model: Followed) -> list[str]:
    curve, found = model.curve, model.curve.figures
    first, last = curve.points[0].scores, curve.points[-1].scores
    back = found.eligible and found.revival is not None
    told = [
        share(found.start),
        share(None if curve.reestimated is None else curve.reestimated.asr.value),
        share(found.highest),
        points(found.rise),
        share(found.area),
        "–" if found.revival is None else str(found.revival),
    ]
    ends = [share(scores.rate(metric).value) for metric in ("ca", "pa") for scores in (first, last)]
    return [*(bold(text) if back else text for text in told), *ends]


def _along(models: Sequence[Followed], axes: Sequence[Column]) -> Markdown:
    steps = sorted({point.step for model in models for point in model.curve.points})
    again = any(model.curve.reestimated is not None for model in models)
    head = [str(steps[0]), *["0′"] * again, *map(str, steps[1:])]

    def cells(curve: ReboundCurve) -> list[str]:
        at = {point.step: point.scores for point in curve.points}
        first, *rest = (three_scores(at.get(step)) for step in steps)
        return [first, *[three_scores(curve.reestimated)] * again, *rest]

    return table([*_heads(axes), *head], [[*_names(model, axes), *cells(model.curve)] for model in models])


def _rates(models: Sequence[Followed], axes: Sequence[Column]) -> Markdown:
    rates = sorted({rebound.learning_rate for model in models for rebound, _ in model.rates})

    def cells(model: Followed) -> list[str]:
        at = {rebound.learning_rate: curve for rebound, curve in model.rates}
        return [
            f"{at[rate].figures.highest:.1%} / {points(at[rate].ca_change)}" if rate in at else "–" for rate in rates
        ]

    head = [f"{rate:g}" for rate in rates]
    return table([*_heads(axes), *head], [[*_names(model, axes), *cells(model)] for model in models])


def _heads(axes: Sequence[Column]) -> list[str]:
    return ["attack", "model", *heads(axes)]


def _names(model: Followed, axes: Sequence[Column]) -> list[str]:
    own = [column.text(model.record) if model.has(column.name) else "–" for column in axes]
    return [model.record.attack, NAMES[model.role], *own]

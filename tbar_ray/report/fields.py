"""The columns of results.csv, and a trial as results.json has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import BaseModel, JsonValue

from tbar_ray.planning.axes import STANDARD
from tbar_ray.records.cells import OF_ATTACK, names_of, value_of
from tbar_ray.records.measures import MeanRecord
from tbar_ray.records.rebound import SUMMARY
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import BESIDE, METRICS, RETRIEVAL, PointRecord, RateRecord, Role

Row = dict[str, JsonValue]
_ENDS = ("value", "low", "high", "n")


def _with_interval(name: str) -> tuple[str, ...]:
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


USUAL = (*STANDARD[:2], *OF_ATTACK, *STANDARD[2:])
"""The settings of every campaign; further axes follow."""
SUFFIXES: Mapping[Role, str] = {
    "removed": "", "as_applied": "_as_applied", "reestimated": "_reestimated",
    "infected": "_infected", "clean": "_clean", "before_merge": "_before_merge",
}  # fmt: skip
"""What the names of a model's scores end with."""
SCORE_FIELDS = tuple(field for metric in METRICS for field in _with_interval(metric))
SENSITIVITY = {"flat_alpha_low": "low", "flat_alpha_high": "high", "flat_alpha_width": "width",
               "flat_alpha_censored": "censored"}  # fmt: skip
CHANGE = {f"weights_{name}": name for name in ("relative_l2", "relative_linf", "participation")}
COST = {"defender_images": "data", "forget_images": "forget_images", "clean_pairs": "clean_pairs",
        "training_pairs": "training_pairs", "unlearning_samples": "samples", "unlearning_steps": "steps",
        "unlearning_seconds": "seconds", "unlearning_peak_memory": "peak_memory"}  # fmt: skip
"""Columns that are fields of a record's `alpha_sensitivity`, `weight_change` and `cost`."""
GATE = {"asr_infected_validation": "asr", "ca_infected_validation": "ca", "ca_clean_validation": "clean_ca"}
"""Columns of what the gate compared, fields of a record's `gate`."""
VISIBLE = (*_with_interval("psnr"), *_with_interval("ssim"), "unchanged_images")
"""Columns of a trigger's visibility."""
XI = {"xi_planted": "at_planted", "xi_negated": "at_negated", "xi_equal_length": "at_equal_length",
      "alpha_equal_length": "alpha_equal_length"}  # fmt: skip
FOUND = {"inversion_score": "score", "inversion_target": "target", "inversion_named": "named",
         "inversion_target_found": "target_found", "inversion_shift": "shift",
         "inversion_seconds": "seconds"}  # fmt: skip
LIKE = {"inversion_iou": "iou", "inversion_distance": "distance"}
"""Columns of campaigns with a search: fields of a record's `inversion`, and of its likeness to the true trigger."""
ANGLES = {"cosine_towards_target": "cosine_towards_target", "trigger_relative_length": "relative_length",
          "gradient_overlap": "gradient_overlap"}  # fmt: skip
"""Columns of campaigns with maps of ξ: fields of a record's `disentanglement`, and of its geometry."""
FIELDS = (
    "alpha", "status", "reason", "split", *SCORE_FIELDS, "ca_retention", "ca_retention_clean",
    *(f for role in ("_infected", "_clean") for metric in METRICS for f in _with_interval(f"{metric}{role}")),
    *SENSITIVITY, *CHANGE, *COST, "reference_ca", "seconds", "skipped_samples", "fingerprint",
)  # fmt: skip
"""The columns of every campaign, after its settings."""
MASKED = ("statistics", "statistics_images", "asr_masked", "asr_masked_n")
"""Columns of models with running statistics."""
PARAMETERS = "parameters"
"""Column of all parameters of a trial's method, as JSON."""
SEEN = "pretraining_samples"
"""Column of campaigns that train their clean model."""
POINT_FIELDS = ("alpha", "split", *SCORE_FIELDS, "ca_retention")
POINT_BESIDE = ("ca", "asr", "pa")
"""Scores with the other running statistics."""
_SOME: Sequence[tuple[Sequence[str], Sequence[Role]]] = (
    (("ca", "asr", "pa"), ("as_applied", "reestimated")),
    (("ca", "asr"), ("before_merge",)),
    (RETRIEVAL, ("removed", "infected", "clean")),
)
"""Scores that only some campaigns have."""


def settings_fields(records: Iterable[TrialRecord]) -> tuple[str, ...]:
    """Columns of settings: the usual ones, and the campaign's further axes."""
    return tuple(dict.fromkeys((*USUAL, *names_of(records))))


def fields_of(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Columns of a campaign: settings, the common ones, and those for which only it has values."""
    some = [
        field
        for metrics, roles in _SOME
        for metric in metrics
        for role in roles
        for field, end in zip(_with_interval(f"{metric}{SUFFIXES[role]}"), _ENDS, strict=True)
        if any(_end(record.rate(metric, role), end) is not None for record in records)
    ]
    masked = MASKED if any(record.statistics for record in records) else ()
    gate = GATE if any(record.gate for record in records) else ()
    visible = VISIBLE if any(record.visibility for record in records) else ()
    mapped = (*XI, *ANGLES) if any(record.disentanglement is not None for record in records) else ()
    searched = (*FOUND, *LIKE) if any(record.inversion for record in records) else ()
    followed = SUMMARY if any(record.rebounds for record in records) else ()
    changed = dict.fromkeys(field for record in records for field in record.downstream_values())
    trained = (SEEN,) if any(record.pretraining_samples is not None for record in records) else ()
    further = (*mapped, *searched, *followed, *changed)
    return (*settings_fields(records), PARAMETERS, *FIELDS, *trained, *gate, *visible, *masked, *further, *some)


def point_fields_of(records: Sequence[TrialRecord]) -> tuple[str, ...]:
    """Columns of validation scores: those of every campaign, and those that only some have."""
    roles = [role for role in BESIDE if any(getattr(p, role) is not None for record in records for p in record.path)]
    more = (f for role in roles for metric in POINT_BESIDE for f in _with_interval(f"{metric}{SUFFIXES[role]}"))
    return (*POINT_FIELDS, *more)


def result_of(record: TrialRecord, fields: Iterable[str]) -> Row:
    """A trial as results.json has it: columns in a fixed order, None where unknown, then the nested parts."""
    flat = {**settings_of(record), **_flat(record)}
    return {
        "schema_version": record.schema_version,
        **{field: flat.get(field) for field in fields},
        "lost": list(record.lost),
        "path_falls": record.path_falls,
        "alpha_sensitivity": _content(record.alpha_sensitivity),
        "weight_change": _content(record.weight_change),
        "gate": _content(record.gate),
        "visibility": _content(record.visibility),
        "cost": _content(record.cost),
        "found": record.found,
        "others": {name: _content(other) for name, other in record.others.items()},
        "disentanglement": _content(record.disentanglement),
        "inversion_found": _content(record.inversion),
        "downstream": {name: _content(scores) for name, scores in record.downstream.items()},
        "downstream_references": {
            role: {name: _content(scores) for name, scores in found.items()}
            for role, found in record.downstream_references.items()
        },
        "rebounds": [_content(rebound) for rebound in record.rebounds],
        "alphas": list(record.alphas),
        "path": [point_of(point) for point in record.path],
    }


def settings_of(record: TrialRecord) -> Row:
    """A trial's settings by column; the source is None for a model's own vector."""
    return {**{name: value_of(record, name) for name in OF_ATTACK}, **record.settings}


def point_of(point: PointRecord) -> Row:
    """Validation scores at one α by column, in a fixed order."""
    scores = {name: value for metric in METRICS for name, value in _rate(metric, point.scores.rate(metric)).items()}
    row: Row = {"alpha": point.alpha, "split": "validation", **scores, "ca_retention": point.ca_retention}
    for role in BESIDE:
        if (beside := getattr(point, role)) is not None:
            for metric in POINT_BESIDE:
                row |= _rate(f"{metric}{SUFFIXES[role]}", beside.rate(metric))
    return row


def _flat(record: TrialRecord) -> Row:
    row: Row = {
        "alpha": record.alpha,
        "status": record.status,
        "reason": record.reason,
        "split": "test",
        "ca_retention": record.ca_retention,
        "ca_retention_clean": record.ca_retention_clean,
        "reference_ca": record.reference_ca,
        "seconds": record.seconds,
        "skipped_samples": record.skipped_samples,
        "fingerprint": record.fingerprint,
        "statistics": record.statistics,
        "statistics_images": record.statistics_images,
        "asr_masked": record.asr_masked,
        "asr_masked_n": None if record.beside is None else record.beside.asr.n,
        SEEN: record.pretraining_samples,
    }
    for role, suffix in SUFFIXES.items():
        for metric in (*METRICS, *RETRIEVAL):
            row |= _rate(f"{metric}{suffix}", record.rate(metric, role))
    xi, found = record.disentanglement, record.inversion
    parts: tuple[tuple[BaseModel | None, Mapping[str, str]], ...] = (
        (record.alpha_sensitivity, SENSITIVITY),
        (record.weight_change, CHANGE),
        (record.cost, COST),
        (record.gate, GATE),
        (xi, XI),
        (None if xi is None else xi.geometry, ANGLES),
        (found, FOUND),
        (None if found is None else found.likeness, LIKE),
    )
    for part, names in parts:
        row |= {field: getattr(part, name, None) for field, name in names.items()}
    if (seen := record.visibility) is not None:
        row |= {**_rate("psnr", seen.psnr), **_rate("ssim", seen.ssim), "unchanged_images": seen.unchanged}
    return {**row, **record.downstream_values(), **({} if record.rebound is None else record.rebound.summary())}


def _rate(name: str, rate: RateRecord | MeanRecord | None) -> Row:
    return {field: _end(rate, end) for field, end in zip(_with_interval(name), _ENDS, strict=True)}


def _end(rate: RateRecord | MeanRecord | None, name: str) -> float | int | None:
    found: float | int | None = getattr(rate, name, None)
    return found


def _content(part: BaseModel | None) -> Row | None:
    return None if part is None else part.model_dump(mode="json")

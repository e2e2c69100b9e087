"""The columns of results.csv, and a trial as results.json has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tbar_ray.records.results import METRICS, RETRIEVAL

Record = dict[str, Any]
ROLES = ("infected", "clean")


def _with_interval(name: str) -> tuple[str, ...]:
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


CELL_FIELDS = (
    "attack", "source", "trigger", "target", "task", "planting", "merge", "method", "forget_size", "clean_fraction",
    "poisoning_rate", "seed", "learning_rate",
    "parameters",
)  # fmt: skip
SCORE_FIELDS = tuple(field for metric in METRICS for field in _with_interval(metric))
SENSITIVITY = {"flat_alpha_low": "low", "flat_alpha_high": "high", "flat_alpha_width": "width",
               "flat_alpha_censored": "censored"}  # fmt: skip
CHANGE = {f"weights_{name}": name for name in ("relative_l2", "relative_linf", "participation")}
COST = {"defender_images": "data", "forget_images": "forget_images", "clean_pairs": "clean_pairs",
        "training_pairs": "training_pairs", "unlearning_samples": "samples", "unlearning_steps": "steps",
        "unlearning_seconds": "seconds", "unlearning_peak_memory": "peak_memory"}  # fmt: skip
"""Columns that lie in a record's `alpha_sensitivity`, `weight_change` and `cost`."""
FIELDS = (
    *CELL_FIELDS, "alpha", "status", "reason", "split", *SCORE_FIELDS, "ca_retention", "ca_retention_clean",
    *(f for role in ROLES for metric in METRICS for f in _with_interval(f"{metric}_{role}")),
    *SENSITIVITY, *CHANGE, *COST, "reference_ca", "seconds", "skipped_samples", "fingerprint",
)  # fmt: skip
"""The columns of every campaign."""
POINT_FIELDS = ("alpha", "split", *SCORE_FIELDS, "ca_retention")
NESTED = ("alpha_sensitivity", "weight_change", "cost", "found", "others", "disentanglement")
"""What results.json has beyond columns."""

_SOME = tuple(
    dict.fromkeys(
        field
        for metrics, suffixes in ((("ca", "asr"), ("_before_merge",)), (RETRIEVAL, ("", "_infected", "_clean")))
        for metric in metrics
        for suffix in suffixes
        for field in _with_interval(f"{metric}{suffix}")
    )
)


def fields_of(records: Sequence[Record]) -> tuple[str, ...]:
    """Return the columns of a campaign: those of every one, and those that only some have and this one fills."""
    filled = {field for record in records for field in _SOME if record.get(field) is not None}
    return (*FIELDS, *(field for field in _SOME if field in filled))


def result_of(record: Record, fields: Iterable[str] = FIELDS) -> Record:
    """Return a trial as results.json has it: the columns in a fixed order, None where unknown, then what is nested."""
    flat = {**record}
    for nested, names in (("alpha_sensitivity", SENSITIVITY), ("weight_change", CHANGE), ("cost", COST)):
        found = record.get(nested) or {}
        flat |= {field: found.get(name) for field, name in names.items()}
    columns = {field: flat.get(field) for field in fields}
    rest = sorted(set(record) - {*columns, *_SOME, *NESTED, "alphas", "path"})
    return {
        **columns,
        **{field: record[field] for field in rest},
        **{field: record.get(field) for field in NESTED},
        "alphas": record.get("alphas"),
        "path": [point_of(point) for point in record.get("path") or []],
    }


def point_of(point: Record) -> Record:
    """Return the validation scores at one α in a fixed order."""
    return {field: point.get(field) for field in POINT_FIELDS}

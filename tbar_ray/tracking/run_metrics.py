"""The metrics of a trial's run: what was chosen, the path of α that it was chosen from, and further measures."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite

from mlflow.entities import Metric

from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import BESIDE, RETRIEVAL, PointRecord, Role

SCORES = ("ca", "asr", "pa")


def metrics_of(record: TrialRecord, now: int) -> list[Metric]:
    """All metrics of a trial, each with the time `now`, in milliseconds since the epoch.

    Test values at the selected α, with the ends of their intervals; `selected.*`: the validation values there;
    `path.*`: validation along α, step by step, with α itself as `path.alpha`, since MLflow's steps are whole numbers.
    The order matters: MLflow's compare page first shows the metric that was logged first. Values that are not numbers
    (the retention of an infected model's CA of 0) are left out: MLflow would refuse the whole batch.
    """
    of_trial: dict[str, float | None] = {
        **{metric: record.value(metric) for metric in SCORES},
        "retention": record.ca_retention,
        "asr_all_images": record.value("asr_all_images"),
        **_intervals(record),
        **{f"{metric}_infected": record.value(metric, "infected") for metric in SCORES},
        **{f"{metric}_clean": record.value(metric, "clean") for metric in ("ca", "asr")},
        **_selected(record),
        "seconds": record.seconds,
        **_further(record),
    }
    found = [Metric(name, float(value), now, 0) for name, value in of_trial.items() if value is not None]
    found += [*_along_path(record, now), *_along_rebound(record, now)]
    return [metric for metric in found if isfinite(metric.value)]


def _intervals(record: TrialRecord) -> dict[str, float | None]:
    """The ends of the 95 % intervals of the test scores after removal."""
    rates = {metric: record.rate(metric) for metric in SCORES}
    return {
        f"{metric}_{end}": getattr(rate, end)
        for metric, rate in rates.items()
        if rate is not None
        for end in ("low", "high")
    }


def _selected(record: TrialRecord) -> dict[str, float | None]:
    """Validation scores at the selected α; of a trial without one, none."""
    point = record.selected_point
    if point is None:
        return {}
    scores = {f"selected.{metric}": point.scores.rate(metric).value for metric in SCORES}
    return {"selected.alpha": point.alpha, **scores, "selected.retention": point.ca_retention}


def _along_path(record: TrialRecord, now: int) -> Iterator[Metric]:
    """Validation scores at each α, in its order."""
    for step, point in enumerate(sorted(record.path, key=lambda point: point.alpha)):
        values = [
            ("alpha", point.alpha),
            *((metric, point.scores.rate(metric).value) for metric in SCORES),
            ("retention", point.ca_retention),
            *_beside(point),
        ]
        yield from (Metric(f"path.{name}", value, now, step) for name, value in values if value is not None)


def _along_rebound(record: TrialRecord, now: int) -> list[Metric]:
    """Test scores of the cleaned model along its fine-tuning, by step."""
    curve = record.rebound.removed if record.rebound else None
    return [
        Metric(f"rebound.{metric}", value, now, point.step)
        for point in (curve.points if curve else ())
        for metric in SCORES
        if (value := point.scores.rate(metric).value) is not None
    ]


def _beside(point: PointRecord) -> list[tuple[str, float | None]]:
    """Validation scores with the other running statistics."""
    found: list[tuple[str, float | None]] = []
    for role in BESIDE:
        if (scores := getattr(point, role)) is not None:
            found += [(f"{metric}_{role}", scores.rate(metric).value) for metric in SCORES]
    return found


def _further(record: TrialRecord) -> dict[str, float | None]:
    """Metrics that only some campaigns have."""
    sensitivity, errors, change = record.alpha_sensitivity, record.disentanglement, record.weight_change
    gate, seen = record.gate, record.visibility
    geometry = errors.geometry if errors else None
    roles: tuple[tuple[Role, str], ...] = (("removed", ""), ("infected", "_infected"), ("clean", "_clean"))
    return {
        "ca_top5": record.value("ca_top5"),
        **{f"{metric}_{role}": record.value(metric, role) for role in BESIDE for metric in SCORES},
        "asr_masked": record.asr_masked,
        **{f"{metric}_before_merge": record.value(metric, "before_merge") for metric in ("ca", "asr")},
        "alpha_width": sensitivity.width if sensitivity else None,
        "xi_planted": errors.at_planted if errors else None,
        "xi_negated": errors.at_negated if errors else None,
        "xi_equal_length": errors.at_equal_length if errors else None,
        "cosine_towards_target": geometry.cosine_towards_target if geometry else None,
        "trigger_relative_length": geometry.relative_length if geometry else None,
        "gradient_overlap": geometry.gradient_overlap if geometry else None,
        **(record.rebound.summary() if record.rebound else {}),
        **record.downstream_values(),
        "pretraining_samples": record.pretraining_samples,
        "weights_moved": change.relative_l2 if change else None,
        "gate.asr": gate.asr if gate else None,
        "psnr": seen.psnr.value if seen and seen.psnr else None,
        "ssim": seen.ssim.value if seen else None,
        **{f"{name}{suffix}": record.value(name, role) for name in RETRIEVAL for role, suffix in roles},
    }

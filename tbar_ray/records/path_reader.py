"""What a record has of the path of α: the scored α, and what is left at the selected one."""

from __future__ import annotations

from typing import Any

from tbar_ray.records.measures import SensitivityRecord
from tbar_ray.records.scores import BESIDE, PointRecord, RateRecord, Role, ScoresRecord

Content = dict[str, Any]


def removal_of(path: Content) -> Content:
    """A record's fields that the path of α says: the α that was scored, and what is left at the selected one."""
    reference = float(path["reference_ca"])
    points = tuple(_point(point, reference) for point in path["path"])
    return {
        "alpha": path["selected"],
        "removed": None if path["test"] is None else scores_of(path["test"]),
        "statistics": path["statistics"],
        "statistics_images": path.get("statistics_images"),
        **_beside(path["test"] or {}),
        "reference_ca": reference,
        "path": points,
        "path_falls": path["monotone"],
        "alpha_sensitivity": _sensitivity(points, path),
    }


def scores_of(content: Content) -> ScoresRecord:
    """Scores as an artifact has them."""
    return ScoresRecord(**{name: RateRecord(**content[name]) for name in ScoresRecord.model_fields})


def retrieval_of(path: Content, infected: Content, clean: Content | None) -> dict[Role, dict[str, RateRecord]]:
    """Scores of the retrieval set by role; empty for a campaign without one."""
    parts: tuple[tuple[Role, Content], ...] = (("removed", path), ("infected", infected), ("clean", clean or {}))
    return {
        role: {name: RateRecord(**rate) for name, rate in content["retrieval"].items()}
        for role, content in parts
        if content.get("retrieval") is not None
    }


def _point(point: Content, reference_ca: float) -> PointRecord:
    scores = scores_of(point)
    ca = scores.ca.value
    return PointRecord(
        alpha=point["alpha"],
        scores=scores,
        ca_retention=ca / reference_ca if reference_ca and ca is not None else None,
        **_beside(point),
    )


def _beside(content: Content) -> dict[str, ScoresRecord]:
    """Scores with the other running statistics, by their name."""
    return {name: scores_of(content[name]) for name in BESIDE if name in content}


def _sensitivity(points: tuple[PointRecord, ...], path: Content) -> SensitivityRecord | None:
    """Range of α in which the backdoor is removed and CA kept; None for one α, and after a bisection."""
    from tbar_ray.evaluation.selection import AlphaPoint
    from tbar_ray.evaluation.sensitivity import alpha_sensitivity

    if len(points) < 2 or path["monotone"]:  # a bisection scores too few α
        return None
    curve = [AlphaPoint(point.alpha, point.ca, point.asr) for point in sorted(points, key=lambda point: point.alpha)]
    return SensitivityRecord(**alpha_sensitivity(curve, path["reference_ca"], path["selected"]).to_dict())

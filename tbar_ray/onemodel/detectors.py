"""A model's scores among those of reference models, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from tbar_ray.detection.calibration import Calibration
from tbar_ray.detection.measures import alarm_threshold
from tbar_ray.evaluation.rates import Rate
from tbar_ray.inversion.registry import INVERTERS
from tbar_ray.onemodel.panels import DetectorResult


def detector_results(calibration: Calibration, scores: Mapping[str, float | None]) -> tuple[DetectorResult, ...]:
    """Each search by itself; one without reference scores is left out.

    The threshold lets at most the calibration's share of false alarms pass. Its error rates are of the reference models
    that it was chosen on.
    """
    return tuple(
        _result(calibration, name, score)
        for name, score in scores.items()
        if calibration.scores(name, infected=True) and calibration.scores(name, infected=False)
    )


def _result(calibration: Calibration, name: str, score: float | None) -> DetectorResult:
    clean, infected = (calibration.scores(name, infected=state) for state in (False, True))
    threshold = alarm_threshold(clean, infected, calibration.most_false_alarms)
    if not isfinite(threshold):  # no infected model scores above the clean ones
        threshold = max(clean)
    models = f"{len(clean)} clean and {len(infected)} infected models of {calibration.provenance.source}"
    return DetectorResult(
        name=name,
        score=score,
        clean=clean,
        infected=infected,
        threshold=threshold,
        infected_above=True,
        false_alarms=Rate.of(sum(each > threshold for each in clean), len(clean)),
        misses=Rate.of(sum(each <= threshold for each in infected), len(infected)),
        note=f"{INVERTERS[name].measures} (dots: {models})",
    )

"""Scores among those of reference models."""

from __future__ import annotations

import pytest

from tbar_ray.onemodel.detectors import detector_results
from tests.detection.zoo import leaning, placeholder


def test_each_search_has_its_threshold_and_error_rates() -> None:
    noise, decree = detector_results(placeholder(noise=6.0), {"universal-noise": 9.0, "decree": None})
    assert (noise.name, noise.score, noise.alarmed) == ("universal-noise", 9.0, True)
    assert (len(noise.clean), len(noise.infected)) == (20, 30)
    assert max(noise.clean) < noise.threshold < 6
    assert (noise.false_alarms.value, noise.false_alarms.n) == (0, 20)
    assert noise.misses.value == sum(score <= noise.threshold for score in noise.infected) / 30
    assert (decree.score, decree.alarmed) == (None, False)
    assert "20 clean and 30 infected models of a made-up zoo" in decree.note


def test_a_search_that_the_calibration_does_not_know_is_left_out() -> None:
    assert detector_results(placeholder(), {"other": 1.0}) == ()


def test_where_infected_models_never_exceed_clean_ones_the_threshold_is_above_all_of_these() -> None:
    calibration = leaning("inconclusive")
    swapped = tuple(each.model_copy(update={"infected": not each.infected}) for each in calibration.references)
    (found,) = detector_results(calibration.model_copy(update={"references": swapped}), {"decree": 0.0})
    assert found.threshold == max(found.clean)
    assert (found.false_alarms.value, found.misses.value) == (0, pytest.approx(1))

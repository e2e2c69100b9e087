from __future__ import annotations

import pytest

from tbar_ray.records.rebound import SUMMARY
from tests.records.records import curve_of, rebounding, record, scores


def test_figures_are_of_the_curve_with_its_statistics() -> None:
    curve = curve_of(0.0, 0.2, 0.6, 0.4, reestimated=0.7)
    assert (curve.figures.highest, curve.figures.revival) == (scores(0, 0.7, 0).asr.value, 0)
    assert curve_of(0.0, 0.2, 0.6).figures.revival == 20
    assert curve.ca_change == pytest.approx(0.02)


def test_a_trials_columns_are_of_the_cleaned_model_and_of_those_beside_it() -> None:
    found = rebounding(curve_of(0.05, 0.05, 0.3, 0.05, ca=(0.8, 0.76))).summary()
    assert set(found) == set(SUMMARY)
    start = scores(0, 0.05, 0).asr.value
    rise = scores(0, 0.3, 0).asr.value - start  # type: ignore[operator]
    assert (found["rebound_start"], found["rebound_rise"]) == (start, pytest.approx(rise))
    assert found["rebound_area"] == pytest.approx(10 * rise / 30)
    assert (found["rebound_revival"], found["rebound_eligible"]) == (None, True)
    assert found["rebound_ca_change"] == pytest.approx(-0.04, abs=1e-3)
    assert found["rebound_ca_change_clean"] == pytest.approx(-0.02, abs=1e-3)
    assert found["rebound_highest_infected"] == scores(0, 0.98, 0).asr.value
    assert found["rebound_highest_clean"] == scores(0, 0.01, 0).asr.value


def test_what_was_not_cleaned_has_no_figures() -> None:
    found = rebounding(None).summary()
    assert set(found) == set(SUMMARY)
    assert {name for name, value in found.items() if value is not None} == {
        "rebound_highest_infected", "rebound_highest_clean", "rebound_ca_change_clean",
    }  # fmt: skip


def test_the_first_is_the_one_that_counts_and_a_record_reads_back() -> None:
    own, faster = rebounding(curve_of(0.0, 0.1, 0.1, 0.1)), rebounding(curve_of(0.0, 0.9, 0.9, 0.9), rate=3e-4)
    made = record(rebounds=(own, faster))
    assert made.rebound == own
    assert record().rebound is None
    assert type(made).model_validate_json(made.model_dump_json()) == made

"""Figures of merit of rebound, against values computed by hand."""

from __future__ import annotations

import pytest

from tbar_ray.evaluation.rebound import ReboundFigures, area_under_rebound

CURVE = [(0, 0.1), (10, 0.5), (30, 0.3), (100, 0.05)]
"""Rises above A_0: 0, 0.4, 0.2 and none. Areas of the three pieces: 10·0.2, 20·0.3, 70·0.1, together 15."""


def test_the_area_is_that_above_the_start_over_all_steps() -> None:
    assert area_under_rebound(CURVE) == pytest.approx(0.15)
    assert area_under_rebound([(0, 0.0), (4, 1.0)]) == pytest.approx(0.5)
    assert area_under_rebound([(0, 0.6), (10, 0.6), (20, 0.1)]) == 0, "what was there before is no rebound"


def test_figures_of_a_curve() -> None:
    found = ReboundFigures.of(CURVE)
    assert found.start == 0.1
    assert found.highest == 0.5
    assert found.rise == pytest.approx(0.4)
    assert found.area == pytest.approx(0.15)
    assert found.revival == 10, "the first measured step, not one between two"
    assert found.eligible
    assert found.to_dict()["revival"] == 10


def test_a_curve_that_falls_has_no_rise() -> None:
    found = ReboundFigures.of([(0, 0.4), (10, 0.3)])
    assert (found.highest, found.rise, found.area, found.revival, found.eligible) == (0.4, 0, 0, None, False)


def test_statistics_alone_may_bring_it_back() -> None:
    found = ReboundFigures.of([(0, 0.0), (10, 0.2)], reestimated=0.9)
    assert (found.highest, found.rise, found.revival) == (0.9, 0.9, 0)
    assert found.area == pytest.approx(0.1), "step 0′ is no step of the training"
    assert ReboundFigures.of([(0, 0.0), (10, 0.2)], reestimated=0.1).highest == 0.2


@pytest.mark.parametrize(("start", "eligible"), [(0.1, True), (0.1001, False)])
def test_only_a_removed_backdoor_can_come_back(start: float, eligible: bool) -> None:
    assert ReboundFigures.of([(0, start), (1, 1.0)]).eligible is eligible


@pytest.mark.parametrize("steps", [[0], [1, 2], [0, 5, 5], [0, 9, 3]])
def test_a_curve_begins_at_0_and_its_steps_rise(steps: list[int]) -> None:
    with pytest.raises(ValueError, match="begins at step 0 and rises"):
        ReboundFigures.of([(step, 0.0) for step in steps])

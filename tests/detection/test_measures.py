"""Measures of detection, against values found by hand."""

from __future__ import annotations

from math import inf, log

import pytest

from tbar_ray.detection.measures import alarm_threshold, auroc, caught, clear_threshold, cross_entropy


def test_auroc_counts_pairs_and_half_of_ties() -> None:
    # of the pairs (3,1) (3,2) (3,4) (4,1) (4,2) (4,4): right, right, wrong, right, right, tie
    assert auroc([1, 2, 4], [3, 4]) == pytest.approx(4.5 / 6)
    assert auroc([0, 0], [1]) == 1
    with pytest.raises(ValueError, match="0 clean and 1 infected models"):
        auroc([], [1])


def test_cross_entropy_is_of_the_true_state() -> None:
    assert cross_entropy([0.5, 0.5], [True, False]) == pytest.approx(log(2))
    assert cross_entropy([0.8, 0.1], [True, False]) == pytest.approx(-(log(0.8) + log(0.9)) / 2)
    assert cross_entropy([0.0], [True]) == pytest.approx(-log(1e-12))


def test_caught_lets_a_share_of_clean_models_pass() -> None:
    clean, infected = [1.0, 2.0, 3.0, 9.0], [2.5, 4.0, 9.0, 10.0]
    assert caught(clean, infected, 0.0) == 1 / 4  # 9 itself is reached by a clean model
    assert caught(clean, infected, 0.24) == 1 / 4
    assert caught(clean, infected, 0.25) == 3 / 4
    assert caught(clean, infected, 0.5) == 1


def test_the_alarm_lies_in_the_gap_below_the_weakest_model_that_it_catches() -> None:
    assert alarm_threshold([1, 2, 3], [5, 6], 0.0) == 4
    # one false alarm is permitted, but would catch no further model
    assert alarm_threshold([1, 2, 3], [5, 6], 0.34) == 4
    assert alarm_threshold([1, 2, 5.5], [5, 6], 0.34) == 3.5
    assert alarm_threshold([1, 2, 5.5], [5, 6], 0.0) == 5.75
    assert alarm_threshold([1, 7], [5, 6], 0.0) == inf
    assert alarm_threshold([7], [9], 0.0) == 8


def test_what_scores_like_a_clean_model_and_no_infected_one_is_cleared() -> None:
    assert clear_threshold([1, 2, 3], [5, 6], 0.0) == 3
    assert clear_threshold([1, 2, 6], [1.5, 8, 9], 0.0) == 1
    assert clear_threshold([1, 2, 6], [1.5, 8, 9], 0.34) == 6
    assert clear_threshold([4], [3, 5], 0.0) == -inf


def test_a_share_is_not_lost_to_rounding() -> None:
    # 0.29 · 100 is 28.999999999999996
    assert caught(range(100), [70.5], 0.29) == 1

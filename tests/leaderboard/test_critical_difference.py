"""Against Demšar (2006): its table of q, its example of four classifiers on 14 data sets, and counting by hand."""

from __future__ import annotations

from math import sqrt

import pytest

from tbar_ray.leaderboard.critical_difference import Comparison, compare, critical_difference


@pytest.mark.parametrize(("methods", "q"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)])
def test_q_is_that_of_the_paper(methods: int, q: float) -> None:
    expected = q * sqrt(methods * (methods + 1) / (6 * 7))
    assert critical_difference(methods, 7) == pytest.approx(expected, rel=5e-4)


def test_the_papers_example() -> None:
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_friedman_by_hand() -> None:
    found = compare([{"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "c": 2}, {"a": 2, "b": 1, "c": 3}])
    # sums 4, 6, 8: χ² = 1/3·(16 + 36 + 64) − 36 = 8/3, F = 2·(8/3) / (6 − 8/3) = 1.6
    assert found.mean_ranks == pytest.approx({"a": 4 / 3, "b": 2, "c": 8 / 3})
    assert found.statistic == pytest.approx(1.6)
    # F(2, 4): p = (1 + 2·1.6/4)^−2
    assert found.p == pytest.approx(1.8**-2)


def test_all_attacks_of_one_mind_leave_no_doubt_and_ties_none_to_have() -> None:
    same = {"a": 1.0, "b": 2.0, "c": 3.0}
    assert compare([same, same]).p == 0
    tied = dict.fromkeys("abc", 2.0)
    assert (compare([tied, tied]).statistic, compare([tied, tied]).p) == (None, None)
    assert compare([{"a": 1, "b": 2}, {"a": 1, "b": 2}]).p is None, "Friedman's test takes three"


def test_groups_are_the_largest_within_the_difference() -> None:
    ranks = {"a": 1.0, "b": 1.9, "c": 2.8, "d": 5.0}
    assert Comparison(ranks, 9, 1.0, None, None).groups == [("a", "b"), ("b", "c")]
    assert Comparison(ranks, 9, 2.0, None, None).groups == [("a", "b", "c")]
    assert Comparison(ranks, 9, 0.5, None, None).groups == []
    assert Comparison({"a": 1.0, "b": 2.0}, 9, 1.0, None, None).groups == [], (
        "exactly as far apart as the test asks is apart"
    )


def test_fewer_than_two_are_refused() -> None:
    for blocks in ([], [{"a": 1.0, "b": 2.0}], [{"a": 1.0}, {"a": 1.0}], [{"a": 1.0, "b": 2.0}, {"a": 1.0, "c": 2.0}]):
        with pytest.raises(ValueError, match="two or more"):
            compare(blocks)

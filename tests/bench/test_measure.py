from __future__ import annotations

import pytest

from tbar_ray.bench.measure import Comparison, Figure, alternate, spread


def test_runs_alternate_and_what_goes_first_changes() -> None:
    seen: list[str] = []

    def ours() -> float:
        seen.append("ours")
        return 2.0

    def theirs() -> float:
        seen.append("theirs")
        return 5.0

    assert alternate(ours, theirs, repeats=3) == ((2.0,) * 3, (5.0,) * 3)
    assert seen == ["ours", "theirs", "ours", "theirs", "theirs", "ours", "ours", "theirs"]


def test_of_three_ways_every_one_goes_first_in_turn() -> None:
    seen: list[int] = []
    runs = [lambda number=number: float(seen.append(number) or number) for number in (1, 2, 3)]
    assert alternate(*runs, repeats=3) == ((1.0,) * 3, (2.0,) * 3, (3.0,) * 3)
    assert seen == [1, 2, 3, 1, 2, 3, 2, 3, 1, 3, 1, 2]


def test_runs_without_seconds_of_their_own_are_timed() -> None:
    mine, theirs = alternate(lambda: None, lambda: 1.0, repeats=2)
    assert all(0 <= seconds < 1 for seconds in mine)
    assert theirs == (1.0, 1.0)


def comparison(at_least: float | None) -> Comparison:
    return Comparison("a", "work", "images", 100, (1.0, 2.0, 4.0), "peer", (2.0, 2.0, 16.0), at_least)


@pytest.mark.parametrize(("at_least", "reached"), [(2.0, True), (2.1, False), (None, None)])
def test_the_ratio_is_the_median_over_pairs(at_least: float | None, reached: bool | None) -> None:
    found = comparison(at_least)
    assert found.ratios == (2.0, 1.0, 4.0)
    assert found.ratio == 2.0
    assert found.reached is reached
    facts = found.to_dict()
    assert (facts["ours_per_second"], facts["peer_per_second"]) == (50, 50)
    assert (facts["ratio_least"], facts["ratio_largest"]) == (1.0, 4.0)
    assert spread(found.ratios) == "2.00 (1.00–4.00)"


@pytest.mark.parametrize(
    ("limit", "upper", "reached"), [(1.1, True, True), (0.9, True, False), (1.1, False, False), (None, True, None)]
)
def test_a_figure_keeps_to_its_limit(limit: float | None, upper: bool, reached: bool | None) -> None:
    assert Figure("a", "work", 1.0, "", limit, upper).reached is reached

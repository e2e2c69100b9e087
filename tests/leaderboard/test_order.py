from __future__ import annotations

from tbar_ray.leaderboard.order import after_tuning, as_cleaned, ranks
from tests.leaderboard.cells import cell, missing


def test_the_order_as_cleaned() -> None:
    best_first = [
        cell(pa=0.99), cell(pa=0.5),  # removed
        cell(asr=0.0, ca=0.95, pa=1.0), cell(asr=0.3), cell(asr=0.2, ca=0.5), cell(asr=0.9),  # harm 5, 30, 70, 90
        cell(status="infeasible", cleaned=None),
    ]  # fmt: skip
    places = [as_cleaned(found) for found in best_first]
    assert None not in places
    assert places == sorted(places, key=lambda place: place or ())
    assert len(set(places)) == len(places)


def test_less_than_a_point_is_a_tie_and_no_model_is_one() -> None:
    assert as_cleaned(cell(pa=0.9009)) == as_cleaned(cell(pa=0.8999))
    assert as_cleaned(cell(status="failed")) == as_cleaned(cell(status="infeasible"))


def test_what_cannot_be_ordered_has_no_place() -> None:
    assert as_cleaned(missing()) is None
    assert as_cleaned(cell(status="not taken")) is None
    assert after_tuning(cell()) is None, "A_post was not measured"


def test_the_order_after_clean_fine_tuning_counts_ca_lost_too() -> None:
    places = [after_tuning(found) for found in (cell(a_post=0.01), cell(a_post=0.0, ca=0.9), cell(a_post=0.3))]
    assert places == [(0, 1), (0, 10), (0, 30)]


def test_what_was_not_removed_comes_after_what_came_back_whether_or_not_it_was_fine_tuned() -> None:
    best_first = [cell(asr=0.1, a_post=0.9), cell(asr=0.11, a_post=0.2), cell(asr=0.4, ca=0.9), cell(status="failed")]
    assert [after_tuning(found) for found in best_first] == [(0, 90), (1, 11), (1, 50), (2,)]
    assert after_tuning(cell(asr=0.1)) is None, "A_post was not measured"


def test_ties_share_the_mean_of_their_ranks() -> None:
    assert ranks({"a": (3,), "b": (1,), "c": (3,), "d": (7,)}) == {"b": 1, "a": 2.5, "c": 2.5, "d": 4}
    assert ranks({"a": (0, 5), "b": (0, 5), "c": (0, 5)}) == {"a": 2, "b": 2, "c": 2}

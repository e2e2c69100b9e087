from __future__ import annotations

import pytest

from tbar_ray.leaderboard.comeback import comeback
from tbar_ray.leaderboard.summary import boards_of
from tests.leaderboard.cells import cell, missing
from tests.records.records import rate


def test_medians_and_the_worst_are_of_removals_that_were_followed() -> None:
    worn = cell(attack="y", seed=1, asr=0.1, a_post=0.3)
    assert worn.after is not None
    worn = worn.model_copy(update={"after": worn.after.model_copy(update={"ca": rate(0.9)})})
    found = comeback([
        cell(attack="w", asr=0.0, a_post=0.02), cell(attack="x", asr=0.04, a_post=0.1), worn,
        cell(attack="v"), missing(attack="u"), cell(attack="t", status="failed", cleaned=None),
    ])  # fmt: skip
    assert found is not None
    assert (found.count, found.attack, found.seed) == (3, "y", 1)
    assert (found.asr, found.highest, found.worst) == pytest.approx((0.04, 0.1, 0.3))
    assert found.ca == pytest.approx(0.9)


def test_of_a_backdoor_that_was_not_removed_nothing_comes_back() -> None:
    found = comeback([cell(attack="x", asr=0.05, a_post=0.3), cell(attack="y", asr=0.4, a_post=0.9)])
    assert found is not None
    assert (found.count, found.worst) == pytest.approx((1, 0.3))


def test_without_a_removal_that_was_followed_there_is_none() -> None:
    assert comeback([cell(), cell(attack="y", asr=0.4, a_post=0.9), missing(attack="z")]) is None


def test_attacks_that_hyper_parameters_were_chosen_on_do_not_count() -> None:
    cells = [cell(attack="x", a_post=0.1), cell(attack="y", a_post=0.9, tuned_on="attack")]
    (found,) = boards_of(cells)[0].methods
    assert found.comeback is not None
    assert (found.comeback.count, found.comeback.worst) == pytest.approx((1, 0.1))

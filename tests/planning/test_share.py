"""Shares of a grid."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.share import Share
from tests.specs import spec


def grid() -> list[PlannedTrial]:
    # the attack varies fastest: neighbours in the grid have different models
    return Planner(spec(search={"axes": {"forget_size": [10, 20, 30, 40], "attack": ["badnets", "blended"]}})).grid()


@pytest.mark.parametrize("of", [1, 2, 3, 5, 8])
def test_shares_make_up_the_grid_and_are_of_one_size(of: int) -> None:
    trials = grid()
    parts = [Share(number, of).part(trials) for number in range(1, of + 1)]
    prints = [planned.fingerprint for part in parts for planned in part]
    assert sorted(prints) == sorted(planned.fingerprint for planned in trials)
    sizes = {len(part) for part in parts}
    assert max(sizes) - min(sizes) <= 1
    again = [[planned.fingerprint for planned in Share(number, of).part(grid())] for number in range(1, of + 1)]
    assert [print_ for part in again for print_ in part] == prints


@pytest.mark.parametrize("of", [2, 4])
def test_trials_on_one_model_lie_together(of: int) -> None:
    for number in range(1, of + 1):
        part = Share(number, of).part(grid())
        assert len({planned.graph.model.fingerprint for planned in part}) == 1
        assert all(a.trial.spec.forget.size < b.trial.spec.forget.size for a, b in pairwise(part))


def test_a_share_is_read_and_written_alike() -> None:
    assert Share.parse(" 2/8 ") == Share(2, 8)
    assert str(Share(2, 8)) == "2/8"


@pytest.mark.parametrize("text", ["0/8", "9/8", "x", "1/0", "-1/2", "1/2/3", "1.5/2", "", "२/८"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(SpecError) as refused:
        Share.parse(text)
    assert str(refused.value) == f"--shard {text}: give K/N, the K-th of N shares, K from 1 to N; for example 2/8"


def test_more_shares_than_trials_are_refused() -> None:
    with pytest.raises(SpecError, match=r"^--shard 1/9: the grid has 8 trials"):
        Share(1, 9).part(grid())

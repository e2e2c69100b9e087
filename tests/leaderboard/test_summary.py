from __future__ import annotations

import pytest

from tbar_ray.leaderboard.summary import boards_of
from tests.leaderboard.cells import board, cell, missing


def test_means_are_over_attacks_whose_seeds_are_averaged() -> None:
    cells = [cell(attack="x", seed=0, pa=0.8), cell(attack="x", seed=1, pa=0.9), cell(attack="y", pa=0.45)]
    (found,) = boards_of(cells)[0].methods
    assert found.pa is not None
    assert found.pa.mean == pytest.approx((0.85 + 0.45) / 2, abs=1e-3)
    assert found.pa.n == 2


def test_what_is_missing_or_tuned_on_counts_in_no_mean() -> None:
    cells = [
        cell(attack="x", asr=0.0, pa=0.01, a_post=0.2), missing(attack="y"),
        cell(attack="z", asr=0.9, tuned_on="attack"), cell(attack="w", status="infeasible", cleaned=None),
        cell(attack="v", status="not taken", cleaned=None),
    ]  # fmt: skip
    (found,) = boards_of(cells)[0].methods
    assert (found.measured, found.cells, found.removed, found.restored, found.no_model) == (2, 4, 1, 0, 1)
    assert found.worst_asr == 0
    assert found.comeback is not None
    assert (found.comeback.count, found.comeback.attack) == (1, "x")
    assert found.rank is None


def test_seconds_of_a_gpu_are_not_mixed_with_those_of_cpus() -> None:
    cells = [
        cell("a", "x", seconds=9.0), cell("a", "y", seconds=1.0, gpus=0.5), cell("a", "z", seconds=1.0, gpus=0.5),
        cell("b", "x", seconds=1.0, gpus=0.5),
    ]  # fmt: skip
    assert {found.method: found.seconds for found in boards_of(cells)[0].methods} == {"a": 9, "b": 1}


def test_methods_are_in_the_order_of_their_ranks_and_those_without_one_follow() -> None:
    (found,) = boards_of([*board(), cell("0-new", "attack-0", 0), missing("0-none", "attack-0")])
    assert [method.method for method in found.methods] == ["a", "b", "c", "d", "0-new", "0-none"]
    assert found.methods[0].lasting_rank == 1


def test_where_it_is_not_stated_what_a_row_was_chosen_on_the_others_attacks_do_not_count() -> None:
    cells = [
        cell("a", "x", asr=0.2), cell("a", "searched", tuned_on="attack"),
        cell("b", "x", asr=0.2, tuned_on="not stated"), cell("b", "searched", tuned_on="not stated"),
    ]  # fmt: skip
    found = {method.method: (method.measured, method.asr) for method in boards_of(cells)[0].methods}
    assert found["a"] == found["b"]
    alone = boards_of([each for each in cells if each.method == "b"])[0].methods[0]
    assert alone.measured == 2


def test_without_a_ranking_more_removed_cells_come_before_a_larger_share() -> None:
    cells = [cell("one", "x"), cell("many", "x"), cell("many", "y"), cell("many", "z", asr=0.5)]
    assert [method.method for method in boards_of(cells)[0].methods] == ["many", "one"]


def test_each_data_set_and_search_has_a_board_the_shipped_ones_first() -> None:
    cells = [cell(data="mine"), *board(), cell(search="decree"), *(cell("b", str(n), data="mine") for n in range(99))]
    assert [(found.data, found.search) for found in boards_of([*cells, cell(data="photographs")])] == [
        ("scenes", None), ("scenes", "decree"), ("photographs", None), ("mine", None),
    ]  # fmt: skip

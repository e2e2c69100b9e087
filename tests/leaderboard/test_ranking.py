from __future__ import annotations

import pytest

from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.order import RULES
from tbar_ray.leaderboard.ranking import rank_methods
from tests.leaderboard.cells import board, cell, missing

CLEANED, TUNED = RULES


def test_ranks_are_of_attacks_whose_seeds_are_averaged_and_ranked_anew() -> None:
    # attack x: a < b < c twice and b < a < c once: mean ranks 4/3, 5/3 and 3, anew 1, 2 and 3; attack y: b < c < a
    first, second = {"a": 0.9, "b": 0.8, "c": 0.7}, {"a": 0.8, "b": 0.9, "c": 0.7}
    pa = {"x": (first, second, first), "y": ({"a": 0.7, "b": 0.9, "c": 0.8},)}
    cells = [
        cell(method, attack, seed, pa=value)
        for attack, seeds in pa.items() for seed, values in enumerate(seeds) for method, value in values.items()
    ]  # fmt: skip
    found = rank_methods(cells, CLEANED)
    assert found.comparison is not None
    assert found.comparison.mean_ranks == {"b": 1.5, "a": 2.0, "c": 2.5}
    assert found.comparison.attacks == 2
    assert found.columns == (("x", 0), ("x", 1), ("x", 2), ("y", 0))


def test_a_whole_table_leaves_nothing_out() -> None:
    found = rank_methods(board(), CLEANED)
    assert found.comparison is not None
    assert list(found.comparison.mean_ranks) == ["a", "b", "c", "d"]
    assert found.left_out == ()
    after = rank_methods(board(), TUNED)
    assert after.attacks == ["attack-1", "attack-2"], "the first attack has no A_post"


def test_attacks_that_hyper_parameters_were_chosen_on_are_not_ranked() -> None:
    cells = [
        each.model_copy(update={"tuned_on": "attack"}) if each.attack == "attack-0" else each for each in board()
    ]  # fmt: skip
    assert rank_methods(cells, CLEANED).attacks == ["attack-1", "attack-2"]


def test_what_is_missing_leaves_its_method_or_its_attack_out() -> None:
    def without(*gone: tuple[str, str]) -> list[Cell]:
        return [missing(c.method, c.attack, c.seed) if (c.method, c.attack) in gone else c for c in board()]

    few = rank_methods(without(("d", "attack-1"), ("d", "attack-2")), CLEANED)
    assert few.left_out == ("d",)
    assert few.attacks == ["attack-0", "attack-1", "attack-2"]
    many = rank_methods(without(*[(method, "attack-1") for method in "abc"]), CLEANED)
    assert many.left_out == ()
    assert many.attacks == ["attack-0", "attack-2"]


def test_an_attack_that_did_not_take_is_left_out_and_a_method_that_failed_is_last() -> None:
    cells = [
        each.model_copy(update={"status": "not taken"}) if each.attack == "attack-0"
        else each.model_copy(update={"status": "infeasible", "cleaned": None}) if each.method == "a" else each
        for each in board()
    ]  # fmt: skip
    found = rank_methods(cells, CLEANED)
    assert found.comparison is not None
    assert found.attacks == ["attack-1", "attack-2"]
    assert list(found.comparison.mean_ranks)[-1] == "a"


def test_a_part_that_lacks_more_than_half_of_the_methods_is_not_ranked() -> None:
    def with_whole(names: str) -> list[Cell]:
        every = [each for each in board(methods=6, seeds=6) if each.seed]
        return [each if each.method in names else missing(each.method, each.attack, each.seed) for each in every]

    half, few = (rank_methods(with_whole(names), CLEANED) for names in ("abc", "ab"))
    assert half.comparison is not None
    assert (half.left_out, half.few) == (("d", "e", "f"), False)
    assert few.comparison is None
    assert (few.left_out, few.few) == (("a", "b", "c", "d", "e", "f"), True)


def test_methods_that_removed_nothing_are_not_ranked_after_fine_tuning_without_those_that_did() -> None:
    """What was not removed has no A_post to measure, so that it lacks nothing."""

    def with_removals(a_post: float | None) -> list[Cell]:
        return [
            cell(method, attack, a_post=a_post) if method == "a" else cell(method, attack, asr=asr)
            for method, asr in {"a": 0.0, "b": 0.5, "c": 0.6, "d": 0.7}.items() for attack in ("x", "y")
        ]  # fmt: skip

    unknown, known = rank_methods(with_removals(None), TUNED), rank_methods(with_removals(0.02), TUNED)
    assert unknown.comparison is None
    assert known.comparison is not None
    assert known.comparison.mean_ranks == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert rank_methods([*with_removals(0.02), cell("a", "z", asr=0.0)], TUNED).attacks == ["x", "y"]


@pytest.mark.parametrize("cells", [[], [cell()], [cell(), cell("b")], [cell(), cell(attack="x")]])
def test_too_little_is_not_ranked(cells: list[Cell]) -> None:
    found = rank_methods(cells, CLEANED)
    assert found.comparison is None
    assert found.left_out == tuple(sorted({each.method for each in cells}))


def test_where_all_are_tied_nothing_is_ranked() -> None:
    """Of methods that gave no model all is known, and of the others nothing: that is no ranking by A_post."""
    nothing = [
        cell(method, attack, status="infeasible", cleaned=None) for method in ("a", "b", "c") for attack in ("x", "y")
    ]
    found = rank_methods([*nothing, cell("d", "x"), cell("d", "y")], TUNED)
    assert found.comparison is None
    assert found.left_out == ("a", "b", "c", "d")


def test_a_row_without_a_post_is_left_out_and_takes_nothing_from_the_others() -> None:
    """Attacks on which the new method failed lack nothing; a ranking of these alone would be one of its failures."""
    new = [
        cell("new", f"attack-{attack}", seed, asr=0.0 if attack == 1 else 0.5)
        for attack in range(1, 6)
        for seed in (0, 1)
    ]
    before, after = rank_methods(board(attacks=6), TUNED), rank_methods([*board(attacks=6), *new], TUNED)
    assert before.comparison is not None
    assert after.comparison is not None
    assert after.comparison.mean_ranks == before.comparison.mean_ranks
    assert (after.left_out, after.attacks) == (("new",), before.attacks)


def test_a_seed_without_a_post_is_left_out_and_its_methods_stay() -> None:
    third = [cell(method, f"attack-{attack}", 2) for method in "abcd" for attack in range(3)]
    found = rank_methods([*board(), *third], TUNED)
    assert found.columns == tuple((f"attack-{attack}", seed) for attack in (1, 2) for seed in (0, 1))
    assert found.left_out == ()


def test_a_ranking_of_fewer_than_half_of_the_attacks_is_none() -> None:
    found = rank_methods([*board(), *(cell(m, f"more-{a}") for m in "abcd" for a in range(2))], TUNED)
    assert found.columns, "two of five attacks are known"
    assert (found.comparison, found.few, found.unknown) == (None, True, True)


def test_rows_of_a_few_cells_do_not_count_as_methods_that_lack_most() -> None:
    rows = [cell(f"row-{number}", "attack-0") for number in range(9)]
    found = rank_methods([*board(), *rows], CLEANED)
    assert found.comparison is not None
    assert list(found.comparison.mean_ranks) == ["a", "b", "c", "d"]
    assert found.left_out == tuple(f"row-{number}" for number in range(9))

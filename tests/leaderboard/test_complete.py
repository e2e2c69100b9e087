from __future__ import annotations

from tbar_ray.leaderboard.complete import Column, complete_part

ONE, TWO, THREE = ("x", 0), ("x", 1), ("y", 0)
COLUMNS = [ONE, TWO, THREE]


def without(*gone: tuple[str, Column], methods: str = "ab") -> tuple[list[str], list[Column]]:
    return complete_part(list(methods), COLUMNS, lambda *cell: cell in gone)


def test_the_complete_part_of_a_table() -> None:
    assert without() == (["a", "b"], COLUMNS)
    assert without(("c", ONE), ("c", TWO), ("c", THREE), methods="abc") == (["a", "b"], COLUMNS)
    assert without(("a", TWO), ("b", TWO)) == (["a", "b"], [ONE, THREE])
    assert complete_part([], [], lambda *_: True) == ([], [])


def test_a_share_is_of_the_cells_that_count_and_a_method_goes_before_an_equal_column() -> None:
    gone = ("b", ONE)
    assert complete_part(["a", "b"], COLUMNS, lambda *cell: cell == gone) == (["a", "b"], [TWO, THREE])
    none = complete_part(["a", "b"], COLUMNS, lambda *cell: cell == gone, lambda *_: False)
    assert none == (["a"], COLUMNS), "of b, as of the column, only that one counts: both lack all"
    of_a = complete_part(["a", "b"], COLUMNS, lambda *cell: cell == gone, lambda name, _: name == "a")
    assert of_a == (["a"], COLUMNS)

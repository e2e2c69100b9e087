from __future__ import annotations

from tbar_ray.leaderboard.shipped import SHIPPED, differences, is_below, shipped_board
from tests.specs import spec


def test_shipped_boards_differ_from_themselves_in_nothing_and_others_are_not_compared() -> None:
    for data in SHIPPED:
        assert differences(shipped_board(data)) == []
    assert differences(spec()) == []


def test_what_changes_a_cell_is_told_and_what_adds_some_is_not() -> None:
    board = shipped_board("scenes")
    changed = board.model_copy(update={"forget": board.forget.model_copy(update={"size": 30})})
    assert differences(changed) == ["forget.size"]
    more = board.model_copy(update={"methods": {**board.methods, "mine": board.methods["tbar"]}})
    assert differences(more) == []
    other = board.model_copy(update={"methods": {**board.methods, "tbar": board.methods["ubt"]}})
    assert any(field.startswith("methods.tbar") for field in differences(other))


def test_a_field_is_below_itself_and_its_sections() -> None:
    assert is_below("data.train", ["data"])
    assert is_below("data", ["data"])
    assert not is_below("database", ["data"])

from __future__ import annotations

from tbar_ray.leaderboard.cell import CaLoss, Held
from tbar_ray.leaderboard.rows import (
    AIM_HEADS,
    CELL_HEADS,
    COMEBACK_HEADS,
    SUMMARY_HEADS,
    Shown,
    aim_rows,
    attack_heads,
    attack_rows,
    cell_rows,
    comeback_rows,
    held_text,
    options,
    summary_rows,
)
from tbar_ray.leaderboard.summary import boards_of
from tests.leaderboard.cells import board, cell, missing


def matrix(*cells_: object) -> dict[str, Shown]:
    (found,) = boards_of(cells_)  # type: ignore[arg-type]
    (row,) = attack_rows(found)
    return dict(zip([head.text for head in attack_heads(found)], row.cells, strict=True))


def test_rows_have_a_cell_for_each_head() -> None:
    (found,) = boards_of([*board(), missing("none", "attack-0")])
    assert {len(row.cells) for row in summary_rows(found)} == {len(SUMMARY_HEADS)}
    assert {len(row.cells) for row in attack_rows(found)} == {len(attack_heads(found))}
    assert {len(row.cells) for row in aim_rows(found)} == {len(AIM_HEADS)}
    assert {len(row.cells) for row in comeback_rows(found)} == {len(COMEBACK_HEADS)}
    of_cells = cell_rows([*found.cells, cell("x", status="failed", cleaned=None), cell("y", a_post=0.2)])
    assert {len(row.cells) for row in of_cells} == {len(CELL_HEADS)}
    assert len(of_cells) == len(board()) + 2, "what is missing has no row here"


def test_seconds_of_a_gpu_are_told() -> None:
    place = [head.text for head in CELL_HEADS].index("seconds")
    rows = cell_rows([cell("a", seconds=9.0), cell("b", seconds=1.0, gpus=0.5)])
    assert sorted(row.cells[place].text for row in rows) == ["1.0 on a GPU", "9.0"]


def test_a_cell_of_the_matrix_is_the_mean_of_seeds_and_says_what_came_of_them() -> None:
    found = matrix(
        cell(attack="gone", pa=0.8), cell(attack="gone", seed=1, pa=0.9), cell(attack="costly", ca=0.9),
        cell(attack="left", asr=0.5), cell(attack="left", seed=1, asr=0.0),
        cell(attack="none", status="infeasible", cleaned=None), missing(attack="missing"),
        cell(attack="untaken", status="not taken", cleaned=None), cell(attack="tuned", tuned_on="attack"),
    )  # fmt: skip
    assert (found["gone"].text, found["gone"].kind) == ("0.0 · 85 (80–90)", "removed")
    assert "seed 0: CA 100.0%" in found["gone"].hint
    assert found["costly"].kind == "costly"
    assert (found["left"].text[:4], found["left"].kind) == ("25.0", "left")
    assert found["none"].text == "no model"
    assert found["untaken"].text == "not taken"
    assert (found["missing"].text, found["missing"].kind) == ("–", "missing")
    assert found["tuned"].kind == "removed tuned"


def test_attacks_with_the_most_measured_cells_come_first() -> None:
    found = matrix(missing(attack="a"), cell(attack="b"), cell(attack="c"), cell(attack="c", seed=1))
    assert list(found) == ["method", "c", "b", "a"]


def test_seeds_without_a_model_are_counted_beside_the_mean() -> None:
    found = matrix(cell(attack="x"), cell(attack="x", seed=1, status="infeasible", cleaned=None))
    assert found["x"].text == "0.0 · 90 (1 of 2)"


def test_what_a_defender_holds_is_told_in_full() -> None:
    held = Held(images=300, clean_pairs=3000, training_pairs=10, labels=True, knows=())
    assert held_text(held) == "300 images + 3,000 labelled pairs + 10 training pairs"
    assert held_text(None) == "–"


def test_cells_are_filtered_by_their_values() -> None:
    rows = cell_rows([cell(), cell("b", asr=0.5), cell("c", search="decree", status="failed", cleaned=None)])
    assert options(rows)["outcome"] == ["no model", "not removed", "removed"]
    assert options(rows)["trigger"] == ["found by decree", "known"]


def test_what_was_not_measured_is_told_beside_the_cells_that_reach_an_aim() -> None:
    (found,) = boards_of([cell(attack="x", a_post=0.0), cell(attack="y"), cell(attack="z", tuned_on="attack")])
    (row,) = aim_rows(found)
    assert [shown.text for shown in row.cells] == ["tbar", *["2 of 2"] * 3, *["1–2 of 2"] * 2]
    (unknown,) = aim_rows(boards_of([cell()])[0])
    assert [shown.text for shown in unknown.cells][-2:] == ["0–1 of 1", "0–1 of 1"]
    (none,) = aim_rows(boards_of([missing()])[0])
    assert [shown.text for shown in none.cells][1:] == ["–"] * 5


def test_of_cells_that_miss_ca_it_is_said_how_many_do_beyond_noise() -> None:
    cells = [cell(seed=0), cell(seed=1, ca=0.98, ca_loss=CaLoss(value=0.02, low=0.015, high=0.03))]
    (row,) = aim_rows(boards_of(cells)[0])
    assert [shown.text for shown in row.cells][:3] == ["tbar", "2 of 2", "1 of 2, 1 clearly not"]
    (row,) = aim_rows(boards_of([cell(seed=0), cell(seed=1, ca=0.98)])[0])
    assert row.cells[2].text == "1 of 2"


def test_a_method_shows_both_its_ranks() -> None:
    heads = [head.text for head in SUMMARY_HEADS]
    rows = summary_rows(boards_of(board())[0])
    places = [heads.index(name) for name in ("mean rank", "rank after fine-tuning")]
    assert [[row.cells[place].text for place in places] for row in rows] == [
        [f"{rank}.00"] * 2 for rank in (1, 2, 3, 4)
    ]


def test_methods_of_which_no_model_was_fine_tuned_have_no_row_of_what_comes_back() -> None:
    (found,) = boards_of([cell("a", "x", a_post=0.2), cell("a", "y", asr=0.01, a_post=0.0), cell("b", "x")])
    (row,) = comeback_rows(found)
    assert [shown.text for shown in row.cells] == ["a", "2", "0.5%", "10.0%", "20.0%", "x, seed 0", "100.0%"]


def test_a_mean_that_lacks_attacks_says_of_how_many_it_is() -> None:
    place = [head.text for head in SUMMARY_HEADS].index("ASR")
    rows = summary_rows(boards_of([cell(attack="x"), cell(attack="y", status="infeasible", cleaned=None)])[0])
    assert rows[0].cells[place].text.endswith(" (of 1)")
    assert " (of" not in summary_rows(boards_of(board())[0])[0].cells[place].text

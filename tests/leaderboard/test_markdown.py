from __future__ import annotations

from tbar_ray.leaderboard.markdown import BEST, leaderboard_markdown
from tbar_ray.leaderboard.said import AIMED, COMES_BACK
from tests.leaderboard.cells import board, cell, missing


def test_the_best_come_first_and_then_all() -> None:
    text = leaderboard_markdown([*board(methods=BEST + 2), missing("z", "attack-0")])
    head, short, whole = text.split("\n## ")
    assert f"{AIMED}: ASR ≤ 1% as cleaned; CA kept ≥ 99% of the infected model" in head
    assert f"### {AIMED}" in whole
    assert f"### {COMES_BACK}" in whole
    assert [line.split(" | ")[0] for line in short.splitlines() if line.startswith("| ")][2:] == [
        f"| {chr(97 + place)}" for place in range(BEST)
    ]  # fmt: skip
    assert "| g |" in whole
    assert "42 of 43 cells are measured" in whole
    assert "| z |" in whole


def test_without_a_fine_tuned_model_no_table_says_what_comes_back() -> None:
    assert COMES_BACK not in leaderboard_markdown([cell()])


def test_a_name_is_escaped() -> None:
    assert "<b>" not in leaderboard_markdown([cell("<b>")])


def test_without_a_measured_cell_it_says_so() -> None:
    assert "0 of 1 cell are measured" in leaderboard_markdown([missing()])

from __future__ import annotations

from tbar_ray.leaderboard.order import RULES
from tbar_ray.leaderboard.ranking import rank_methods
from tbar_ray.leaderboard.said import coverage, headline, ranked, rules
from tbar_ray.leaderboard.summary import boards_of
from tests.leaderboard.cells import BEFORE, board, cell, missing
from tests.records.records import rate


def test_how_much_is_measured_is_said_first() -> None:
    cells = [*board(), missing("z"), missing("z", "y"), cell("z", "x", asr=0.11, a_post=0.5)]  # that one is not removed
    boards, followed = boards_of(cells), "A_post of 16 of the 24 with ASR ≤ 10%"
    assert headline(boards)[0] == f"25 of 27 cells are measured, {followed}: 5 methods on 4 attacks."
    assert "counts nowhere" in headline(boards)[1]
    assert len(headline(boards_of(board()))) == 1
    assert coverage(boards[0]) == f"25 of 27 cells are measured (seeds 0, 1), {followed}."
    assert coverage(boards_of([missing()])[0]) == "0 of 1 cell are measured."


def test_an_attack_that_did_not_take_is_named() -> None:
    assert "Did not take: x." in coverage(boards_of([cell(attack="x", status="not taken")])[0])


def test_methods_that_start_from_different_infected_models_are_told() -> None:
    other = BEFORE.model_copy(update={"asr": rate(0.9)})
    mixed = [cell("a", "x"), cell("b", "x", infected=other), cell("a", "y"), cell("b", "y")]
    assert "On 1 attack of seed 0 not all methods start from the same infected model" in coverage(boards_of(mixed)[0])
    assert "not all methods" not in coverage(boards_of(mixed[2:])[0])


def test_a_row_whose_cells_have_different_parameters_is_named() -> None:
    cells = [cell("a", "x"), cell("a", "y", parameters={"steps": 3}), cell("b", "x"), cell("b", "y")]
    assert coverage(boards_of(cells)[0]).endswith("Cells of one row with different parameters: a.")
    assert "different parameters" not in coverage(boards_of(board())[0])


def test_a_ranking_says_what_it_is_of_and_what_it_tells() -> None:
    text = ranked(rank_methods([*board(attacks=6), missing("z", "attack-0")], RULES[0]))
    assert text.startswith("4 methods on 6 attacks (attack-0, attack-1, attack-2")
    assert "methods differ" in text
    assert "worse than the first: c, d." in text
    assert "Of fewer than 10 attacks both tests are rough." in text
    assert text.endswith("Not ranked, since cells are missing or do not count: z.")
    assert ranked(rank_methods([], RULES[0])).startswith("None: it takes two methods")
    some = [missing(c.method, c.attack, c.seed) if c.method != "a" and c.seed else c for c in board(seeds=6) if c.seed]
    assert ranked(rank_methods(some, RULES[0])).startswith("None: without a missing cell it would be of fewer than")
    assert ranked(rank_methods([cell(), cell("b")], RULES[1])).startswith(
        "None: of too many cells with ASR ≤ 10% A_post"
    )
    one = [cell(method, attack, a_post=0.0 if attack == "x" else None) for method in "abc" for attack in "xy"]
    assert ranked(rank_methods(one, RULES[1])).startswith("None: it takes two attacks of which A_post")
    new = [*board(attacks=6), *(cell("new", f"attack-{a}", s) for a in range(1, 6) for s in (0, 1))]
    after = ranked(rank_methods(new, RULES[1]))
    assert after.startswith("4 methods on 5 attacks")
    assert after.endswith("Not ranked, since cells or their A_post are missing or do not count: new.")
    assert ranked(rank_methods([cell(asr=0.5)], RULES[1])).startswith("None: it takes two methods")


def test_every_rule_of_order_is_among_the_rules() -> None:
    assert all(any(rule.text in line for line in rules()) for rule in RULES)

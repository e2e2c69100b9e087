from __future__ import annotations

import pytest

from tbar_ray.leaderboard.cell import TunedOn
from tbar_ray.leaderboard.counted import counted, searched_attacks
from tbar_ray.leaderboard.order import RULES
from tbar_ray.leaderboard.ranking import rank_methods
from tests.leaderboard.cells import cell


@pytest.mark.parametrize(
    ("tuned_on", "attack", "wanted"),
    [
        ("attack", "badnets", False),
        ("attack", "sig", False),
        ("trigger", "badnets", True),
        ("no", "badnets", True),
        ("not stated", "badnets", False),
        ("not stated", "sig", True),
    ],
)
def test_a_cell_counts_unless_its_settings_were_chosen_on_its_attack_or_may_have_been(
    tuned_on: TunedOn, attack: str, wanted: bool
) -> None:
    one = cell(attack=attack, tuned_on=tuned_on)
    assert counted([one], {"badnets"}) == ([one] if wanted else [])


def test_attacks_that_anybody_searched_on_are_named_once() -> None:
    cells = [cell("a", "x", tuned_on="attack"), cell("b", "x", tuned_on="attack"), cell("a", "y", tuned_on="no")]
    assert searched_attacks(cells) == {"x"}


def test_cells_of_a_searched_attack_count_in_no_ranking_where_it_is_not_stated_what_settings_were_chosen_on() -> None:
    attacks = ("x", "y", "z")
    cells = [cell("a", attack, asr=0.1, tuned_on="no") for attack in attacks]
    cells += [cell("b", attack, asr=0.2, tuned_on="not stated") for attack in attacks]
    assert rank_methods(cells, RULES[0]).attacks == ["x", "y", "z"]
    cells += [cell("c", "x", tuned_on="attack")]
    assert rank_methods(cells, RULES[0]).attacks == ["y", "z"]

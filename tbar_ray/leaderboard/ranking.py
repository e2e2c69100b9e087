"""The ranking of methods: which cells it is of, the ranks on each attack, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.critical_difference import Comparison, compare
from tbar_ray.leaderboard.order import Place, Rule, ranks
from tbar_ray.records.cells import grouped

Column = tuple[str, int]
"""Attack and seed."""
Places = Mapping[str, Mapping[Column, Place]]
"""Of each method, the cells that a rule can order."""


@dataclass(frozen=True)
class Ranking:
    """A ranking of methods by one rule.

    Attributes:
        rule: by which cells are ordered.
        comparison: mean ranks and tests; None where fewer than two methods or attacks can be compared, or fewer than
            half of the methods (`few`), or the methods are tied everywhere, as those are that gave no model where
            nothing else is measured.
        columns: attacks and seeds that it is of.
        left_out: methods that lack cells of these, or have none, by name.
        few: whether there is no ranking because most methods would be left out.
        unknown: how many attacks and seeds are left out because the rule is of whole ones (`Rule.whole`).
    """

    rule: Rule
    comparison: Comparison | None
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    few: bool = False
    unknown: int = 0

    @property
    def attacks(self) -> list[str]:
        """Attacks that it is of, each once."""
        return list(dict.fromkeys(attack for attack, _ in self.columns))


def rank_methods(cells: Iterable[Cell], rule: Rule) -> Ranking:
    """Rank the methods of one data set and one kind of knowledge.

    Cells of attacks on which hyper-parameters were tuned are left out. Ranks are of the largest part without a missing
    cell (`complete_part`); there are none if that lacks more than half of the methods, since being first of a few says
    little. On each attack, a method's ranks of all seeds are averaged and these are ranked anew: an attack counts once,
    however many seeds it has.
    """
    usable = [cell for cell in cells if cell.tuned_on != "attack"]
    unknown = {_column(cell) for cell in usable if rule.whole and cell.is_of_a_method and rule.place(cell) is None}
    places: dict[str, dict[Column, Place]] = {}
    for cell in usable:
        own = places.setdefault(cell.method, {})
        if (place := rule.place(cell)) is not None and _column(cell) not in unknown:
            own[_column(cell)] = place
    methods, columns = complete_part(places)
    attacks = grouped(columns, lambda column: (column[0],))
    comparison, few = None, 2 * len(methods) < len(places)
    if not few and len(attacks) > 1 and any(len({places[name][column] for name in methods}) > 1 for column in columns):
        comparison = compare([_block({name: places[name] for name in methods}, own) for own in attacks.values()])
    ranked = set(methods) if comparison is not None else set()
    return Ranking(rule, comparison, tuple(columns), tuple(sorted(set(places) - ranked)), few, len(unknown))


def complete_part(places: Places) -> tuple[list[str], list[Column]]:
    """Methods and columns without a missing cell.

    As long as a cell is missing, the method or the column is left out that lacks the largest share of its cells; of
    equal ones a column before a method, then the last by name.
    """
    methods = sorted(places)
    columns = sorted({column for own in places.values() for column in own})
    while methods and columns:
        by_column = [(_lacking(column not in places[name] for name in methods), 1, column) for column in columns]
        by_method = [(_lacking(column not in places[name] for column in columns), 0, name) for name in methods]
        column_share, _, column = max(by_column)
        method_share, _, method = max(by_method)
        if not column_share:
            break
        if column_share >= method_share:
            columns.remove(column)
        else:
            methods.remove(method)
    return methods, columns


def _column(cell: Cell) -> Column:
    return cell.attack, cell.seed


def _lacking(missing: Iterable[bool]) -> Fraction:
    found = list(missing)
    return Fraction(sum(found), len(found))


def _block(places: Places, columns: Sequence[Column]) -> dict[str, float]:
    """Ranks of the methods on one attack, of whose seeds these are the columns."""
    of_seeds = [ranks({name: own[column] for name, own in places.items()}) for column in columns]
    # ranks are halves, so that twice their sum is whole
    return ranks({name: (round(2 * sum(found[name] for found in of_seeds)),) for name in places})

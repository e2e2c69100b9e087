"""The ranking of methods: which cells it is of, the ranks on each attack, and what is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tbar_ray.leaderboard.cell import Cell
from tbar_ray.leaderboard.complete import Column, Part, complete_part
from tbar_ray.leaderboard.counted import counted, searched_attacks
from tbar_ray.leaderboard.critical_difference import Comparison, compare
from tbar_ray.leaderboard.order import Place, Rule, ranks
from tbar_ray.records.cells import grouped

Places = Mapping[str, Mapping[Column, Place]]
"""Of each method, the places of its cells."""


@dataclass(frozen=True)
class Ranking:
    """A ranking of methods by one rule.

    Attributes:
        rule: by which cells are ordered.
        comparison: mean ranks and tests; None where fewer than two methods or attacks can be compared, or too few are
            left (`few`), or the methods are tied everywhere, as those are that gave no model where nothing else is
            measured.
        columns: attacks and seeds that it is of.
        left_out: methods that lack cells of these, or have none, by name.
        few: whether there is no ranking because most methods, or most attacks, would be left out.
        unknown: whether what lacks is what the rule compares (`Rule.whole`) and not the cell.
    """

    rule: Rule
    comparison: Comparison | None
    columns: tuple[Column, ...]
    left_out: tuple[str, ...]
    few: bool = False
    unknown: bool = False

    @property
    def attacks(self) -> list[str]:
        """Attacks that it is of, each once."""
        return _attacks(self.columns)


def rank_methods(cells: Iterable[Cell], rule: Rule) -> Ranking:
    """Rank the methods of one data set and one kind of knowledge.

    It is of the cells that count (`counted`), without methods that were asked for on less than half of the attacks and
    seeds. Ranks are of the largest part without a missing cell (`complete_part`). By a rule of whole parts, methods, or
    attacks with a seed, then go that lack what the rule compares. If more than half of the methods or attacks would go,
    there are no ranks: being first of a few says little. On each attack, a method's ranks of all seeds are averaged and
    these are ranked anew: an attack counts once, however many seeds it has.
    """
    every = list(cells)
    table = _Table(rule, counted(every, searched_attacks(every)))
    wanted = table.wanted
    measured = complete_part(wanted, table.columns, table.is_missing)
    few, part = 2 * len(measured[0]) < len(wanted), measured
    if rule.whole and not few:
        part = complete_part(*measured, table.is_unplaced, table.can_come_back)
        few = table.is_small(part, measured)
    comparison = None if few else _comparison({name: table.places(name, part[1]) for name in part[0]}, part[1])
    ranked = set(part[0]) if comparison is not None else set()
    left_out = tuple(sorted(set(table.cells) - ranked))
    return Ranking(rule, comparison, tuple(part[1]), left_out, few, part != measured)


class _Table:
    """Cells by method and column, and what a rule makes of them."""

    def __init__(self, rule: Rule, cells: Sequence[Cell]) -> None:
        self._rule = rule
        methods = grouped(cells, lambda cell: (cell.method,))
        self.cells = {name: {(cell.attack, cell.seed): cell for cell in own} for (name,), own in methods.items()}
        self.columns = sorted({column for own in self.cells.values() for column in own})

    @property
    def wanted(self) -> list[str]:
        """Methods with a cell, be it a missing one, on half of the columns and more."""
        return sorted(name for name, own in self.cells.items() if 2 * len(own) >= len(self.columns))

    def places(self, name: str, columns: Iterable[Column]) -> dict[Column, Place]:
        """Places of a method's cells, where they have one."""
        found = {column: self._rule.place(self.cells[name][column]) for column in columns}
        return {column: place for column, place in found.items() if place is not None}

    def is_missing(self, name: str, column: Column) -> bool:
        """Whether a cell has no result, or none that the rule can place; by a rule of whole parts that comes later."""
        cell = self.cells[name].get(column)
        return cell is None or not cell.is_of_a_method or not (self._rule.whole or self._rule.place(cell) is not None)

    def is_unplaced(self, name: str, column: Column) -> bool:
        """Whether a measured cell lacks what the rule compares."""
        return self._rule.place(self.cells[name][column]) is None

    def can_come_back(self, name: str, column: Column) -> bool:
        """Whether a measured cell has anything to measure after its removal."""
        return self.cells[name][column].can_come_back

    def is_small(self, part: Part, whole: Part) -> bool:
        """Whether fewer than half are left of the attacks, or of the methods with something that can come back."""
        concerned = [name for name in whole[0] if any(self.can_come_back(name, column) for column in whole[1])]
        left = [name for name in concerned if name in part[0]]
        return 2 * len(left) < len(concerned) or 2 * len(_attacks(part[1])) < len(_attacks(whole[1]))


def _comparison(places: Places, columns: Sequence[Column]) -> Comparison | None:
    """Mean ranks and tests over attacks; None for fewer than two attacks, and where methods are tied everywhere."""
    attacks = grouped(columns, lambda column: (column[0],))
    if len(attacks) < 2 or all(len({own[column] for own in places.values()}) < 2 for column in columns):
        return None
    return compare([_block(places, own) for own in attacks.values()])


def _attacks(columns: Iterable[Column]) -> list[str]:
    return list(dict.fromkeys(attack for attack, _ in columns))


def _block(places: Places, columns: Sequence[Column]) -> dict[str, float]:
    """Ranks of the methods on one attack, of whose seeds these are the columns."""
    of_seeds = [ranks({name: own[column] for name, own in places.items()}) for column in columns]
    # ranks are halves, so that twice their sum is whole
    return ranks({name: (round(2 * sum(found[name] for found in of_seeds)),) for name in places})

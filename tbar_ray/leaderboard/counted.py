"""Which cells tell something of methods, and not of how their hyper-parameters were chosen."""

from __future__ import annotations

from collections.abc import Iterable, Set

from tbar_ray.leaderboard.cell import Cell


def searched_attacks(cells: Iterable[Cell]) -> frozenset[str]:
    """Attacks that the hyper-parameters of any method were chosen on."""
    return frozenset(cell.attack for cell in cells if cell.tuned_on == "attack")


def counted(cells: Iterable[Cell], searched: Set[str]) -> list[Cell]:
    """Cells without those of attacks that the method's hyper-parameters were chosen on.

    Where that is not stated they may be any of `searched`, so cells of these are left out too.
    """
    return [
        cell
        for cell in cells
        if cell.tuned_on != "attack" and not (cell.tuned_on == "not stated" and cell.attack in searched)
    ]

"""The part of a table of methods by attacks and seeds of which no cell is lacking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

Column = tuple[str, int]
"""Attack and seed."""
Part = tuple[list[str], list[Column]]
"""Methods and columns of a table."""
Says = Callable[[str, Column], bool]
"""Something about the cell of a method and a column."""


def complete_part(methods: Sequence[str], columns: Sequence[Column], lacks: Says, counts: Says | None = None) -> Part:
    """Methods and columns of which no cell is lacking.

    As long as one is, the method or the column is left out that lacks the largest share of its cells; of equal ones,
    the last by name.

    Args:
        methods: of the whole table.
        columns: of the whole table.
        lacks: whether a cell is lacking.
        counts: of which cells a share is, besides those that are lacking; None for all. Where it is given, a method
            goes before an equal column: columns would be left in which the method has no cell that counts, and what
            they say of it would depend on that. Otherwise a column goes before a method.
    """
    left, across = list(methods), list(columns)

    def share(cells: Sequence[tuple[str, Column]]) -> Fraction:
        found = [lacks(*cell) for cell in cells if counts is None or counts(*cell) or lacks(*cell)]
        return Fraction(sum(found), len(found)) if found else Fraction(0)

    while left and across:
        column_share, column = max((share([(name, column) for name in left]), column) for column in across)
        method_share, method = max((share([(name, column) for column in across]), name) for name in left)
        if not column_share:
            break
        if column_share > method_share or (column_share == method_share and counts is None):
            across.remove(column)
        else:
            left.remove(method)
    return left, across

"""Class names that cannot be told apart: the same twice, or alike but for case and spaces."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tbar_ray.errors import DataError
from tbar_ray.naming import nearest

SHOWN = 3
"""Groups of such names that a warning lists."""


def find_class(name: str, names: Sequence[str]) -> int:
    """Index of a class that no other can be taken for.

    Args:
        name: the class, exactly as it is listed.
        names: the classes of a data set.

    Raises:
        DataError: if there is no such class, or another has the same name but for case and spaces.
    """
    same = [index for index, other in enumerate(names) if _folded(other) == _folded(name)]
    if name not in names:
        raise DataError(f"{name!r} is not a class of the evaluation set{nearest(name, names)}")
    if len(same) > 1:
        listed = ", ".join(f"{names[index]!r} (class {index})" for index in same)
        raise DataError(
            f"{name!r} is ambiguous: {listed}; a target needs a name of its own, so rename the others in classnames.txt"
        )
    return same[0]


def warning_of(names: Sequence[str], place: str) -> str | None:
    """A line that names the classes that cannot be told apart; None if all can.

    Args:
        names: the classes of a data set.
        place: the data set.
    """
    groups: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(names):
        groups[_folded(name)].append(index)
    alike = [" and ".join(f"{names[i]!r} ({i})" for i in group) for group in groups.values() if len(group) > 1]
    if not alike:
        return None
    more = f" and {len(alike) - SHOWN} more" if len(alike) > SHOWN else ""
    return (
        f"{place}: classes have the same name: {', '.join(alike[:SHOWN])}{more}; their prompts are the same, so images "
        f"of all but one of them cannot be answered correctly"
    )


def _folded(name: str) -> str:
    return " ".join(name.casefold().split())

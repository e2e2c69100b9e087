"""Class names that cannot be told apart: the same twice, or alike but for case, spaces and how letters are encoded."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Sequence

from tbar_ray.errors import DataError
from tbar_ray.naming import nearest

SHOWN = 3
"""Groups of such names that a warning lists."""


def find_class(name: str, names: Sequence[str]) -> int:
    """Index of a class that no other can be taken for.

    Args:
        name: the class, as it is listed; an accent may be encoded otherwise.
        names: the classes of a data set.

    Raises:
        DataError: if there is no such class, or another has the same name but for case, spaces and encoding.
    """
    same = [index for index, other in enumerate(names) if _folded(other) == _folded(name)]
    if not any(_composed(names[index]) == _composed(name) for index in same):
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


def _composed(name: str) -> str:
    """A name with each accent in its letter: keyboards and file systems write `é` as one sign or as two."""
    return unicodedata.normalize("NFC", name)


def _folded(name: str) -> str:
    """A name without what readers and tokenisers ignore: case, invisible signs, wide and joined letters."""
    seen = "".join(sign for sign in name if unicodedata.category(sign) != "Cf")
    return " ".join(unicodedata.normalize("NFKC", seen).casefold().split())

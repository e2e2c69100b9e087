"""Class names and numbers of labels: names as they are, or in sorted order, as ImageFolder numbers subfolders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tbar_ray.data.folder import class_of_subfolder
from tbar_ray.errors import DataError


def numbers_of(found: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Class number of every label that has one.

    Args:
        found: labels, or subfolders, without repetition.
        classes: class names.

    Returns:
        By name (also with `_` for a space). Where no label is a class and there are as many of both, as of ImageNet's
        WordNet ids: in sorted order, as torchvision's ImageFolder. Labels that are no class are left out.
    """
    names = {label: class_of_subfolder(label, classes) for label in found}
    known = {label: list(classes).index(name) for label, name in names.items() if name is not None}
    if not known and len(found) == len(classes):
        return {label: index for index, label in enumerate(sorted(found))}
    return known


def numbers_of_all(found: Sequence[str], classes: Sequence[str], place: Path) -> dict[str, int]:
    """Class number of every subfolder of a place.

    Raises:
        DataError: if one is no class.
    """
    known = numbers_of(found, classes)
    if lost := [label for label in found if label not in known]:
        raise DataError(f"{place}: subfolder {lost[0]!r} is none of the {len(classes)} classes")
    return known

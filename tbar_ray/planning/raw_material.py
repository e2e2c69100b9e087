"""From raw material that a spec names, a table or a folder of images, to the stages that import it."""

from __future__ import annotations

from tbar_ray.data.layout import SPLITS, SplitName
from tbar_ray.data.places import is_folder, is_remote, resolve
from tbar_ray.data.raw.direct import classes_of, content_of, is_raw, open_labelled, open_pairs, split_of
from tbar_ray.errors import DataError
from tbar_ray.spec.data import OnError, TableColumns
from tbar_ray.stages.imported import ImportedPairs, ImportedSet


def imported_pairs(place: str, columns: TableColumns | None, on_error: OnError) -> ImportedPairs:
    """The import of a table, or of a folder of images with captions.

    Raises:
        DataError: if it cannot be read, or has no such column.
    """
    given = columns or TableColumns()
    table, found = open_pairs(place, given.named())
    return ImportedPairs(
        place=resolve(place),
        content=content_of(table, found, place),
        columns=given,
        rows=len(table.rows),
        on_error=on_error,
    )


def imported_set(place: str, columns: TableColumns | None, on_error: OnError) -> ImportedSet:
    """The import of labelled images as an evaluation set; of a folder with a folder for each split, of the test split.

    Raises:
        DataError: as `imported_pairs`, or if there is an image without a class.
    """
    test = split_of(place, "test") if is_raw_task(place) else resolve(place)
    return _set({"test": test}, columns or TableColumns(), on_error)


def imported_task(place: str, columns: TableColumns | None, on_error: OnError) -> ImportedSet:
    """The import of a folder with a folder of class folders for each split.

    Raises:
        DataError: as `imported_set`, or if a split is missing, or has other classes.
    """
    return _set({split: split_of(place, split) for split in SPLITS}, columns or TableColumns(), on_error)


def is_raw_task(place: str) -> bool:
    """Whether a place is a folder with raw material for each split."""
    if is_remote(resolve(place)) or not is_folder(resolve(place)):
        return False
    try:
        return all(is_raw(split_of(place, split)) for split in SPLITS)
    except DataError:
        return False


def _set(places: dict[SplitName, str], columns: TableColumns, on_error: OnError) -> ImportedSet:
    contents, rows = [], 0
    classes: dict[tuple[str, ...], str] = {}
    for place in places.values():
        table, found = open_labelled(place, columns.named())
        contents.append(content_of(table, found, place))
        classes.setdefault(classes_of(place, table, found), place)
        rows += len(table.rows)
    if len(classes) > 1:
        first, second = classes.values()
        raise DataError(f"{first} and {second} have other classes; give both a classnames.txt with all of them")
    return ImportedSet(
        splits=tuple(places),
        places=tuple(places.values()),
        contents=tuple(contents),
        columns=columns,
        classnames=next(iter(classes)),
        rows=rows,
        on_error=on_error,
    )

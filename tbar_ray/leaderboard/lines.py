"""The leaderboard's file: one JSON line for each cell, in a fixed order; all else is made from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import ValidationError

from tbar_ray.errors import DataError
from tbar_ray.leaderboard.cell import SCHEMA_VERSION, Cell, Key

FILE = "cells.jsonl"


def read_cells(path: Path) -> list[Cell]:
    """The cells of a file, in its order.

    Raises:
        DataError: one line, if the file cannot be read, or a line is broken, of another version, or there twice.
    """
    try:
        # not splitlines: a reason may hold other ends of lines, which JSON does not escape
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error})") from None
    found: dict[Key, Cell] = {}
    for number, line in enumerate(lines if lines != [""] else [], start=1):
        cell = _cell(line, f"{path} line {number}")
        if cell.key in found:
            raise DataError(f"{path} line {number}: {told(cell)} is there twice; remove one of the lines")
        found[cell.key] = cell
    return list(found.values())


def text_of(cells: Iterable[Cell]) -> str:
    """The file's text: one line for each cell, in the order of their keys; what is not known is left out."""
    ordered = sorted(cells, key=lambda cell: cell.key)
    return "".join(
        json.dumps(cell.model_dump(mode="json", exclude_none=True), ensure_ascii=False) + "\n" for cell in ordered
    )


def merged(earlier: Sequence[Cell], newer: Sequence[Cell]) -> list[Cell]:
    """Each cell once: the one computed last, else that of `newer`.

    One that is missing replaces none that was measured. The same trial may be computed again, in another store: a line
    that lacks its A_post does not replace one that has it, nor does one of a failure replace a result. Where a line of
    the same trial says what its hyper-parameters were chosen on, and the newer one does not, that stays.
    """
    found = {cell.key: cell for cell in earlier}
    for cell in newer:
        known = found.get(cell.key)
        if known is None or _replaces(cell, known):
            found[cell.key] = cell if known is None else _with_mark(cell, known)
    return sorted(found.values(), key=lambda cell: cell.key)


def told(cell: Cell) -> str:
    """A cell in words: 'tbar on badnets, seed 0 (scenes)'."""
    found = f", trigger found by {cell.search}" if cell.search else ""
    return f"{cell.method} on {cell.attack}, seed {cell.seed} ({cell.data}{found})"


def _replaces(cell: Cell, known: Cell) -> bool:
    if cell.fingerprint == known.fingerprint:
        if cell.status == "failed" and known.status == "done":
            return False
        if known.after is not None and cell.lacks_after:
            return False
        if cell.after is not None and known.lacks_after:
            return True
    return _recency(cell) >= _recency(known)


def _with_mark(cell: Cell, known: Cell) -> Cell:
    if cell.fingerprint != known.fingerprint or cell.tuned_on != "not stated" or known.tuned_on == "not stated":
        return cell
    return cell.model_copy(update={"tuned_on": known.tuned_on, "command": known.command})


def _recency(cell: Cell) -> tuple[bool, float, bool]:
    return cell.is_measured, cell.ended or 0.0, cell.after is not None


def _cell(line: str, place: str) -> Cell:
    try:
        content = json.loads(line)
    except ValueError:
        raise DataError(f"{place}: is not JSON; restore the file, or remove the line") from None
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise DataError(
            f"{place}: is of schema version {version}, this is version {SCHEMA_VERSION}; build the leaderboard anew"
        )
    try:
        return Cell.model_validate(content)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise DataError(f"{place}: is broken at {field!r}; restore the file, or remove the line") from None

"""Reference models: models whose state is known, with the scores that searches give them, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tbar_ray.data.raw.table import Table
from tbar_ray.errors import DataError
from tbar_ray.inversion.registry import INVERTERS

STATES = {"yes": True, "no": False}


class Reference(BaseModel):
    """A model whose state is known.

    Each field is a column of the table, and so is each search, by its name, with its scores.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field(min_length=1, description="what it is called, e.g. its fingerprint in a store; unique")
    architecture: str = Field(min_length=1, description="its open_clip name")
    images: int = Field(ge=1, description="clean images that the searches were given")
    classes: int = Field(ge=0, description="classes of the head; 0 without one")
    infected: bool = Field(description="yes or no")
    kind: str = Field(
        min_length=1, description="the attack; of a clean model how it came about, e.g. pretrained, fine-tuned"
    )
    target: str = Field(default="", description="the class that its backdoor leads to; empty for clean models")
    scores: dict[str, float | None] = Field(
        default_factory=dict, description="by search; None where it did not converge (an empty cell)"
    )


FIELDS = tuple(name for name in Reference.model_fields if name != "scores")
"""Columns beside those of searches."""


def references_of(table: Table) -> tuple[Reference, ...]:
    """The reference models of a table.

    Raises:
        DataError: if a column is missing, a cell is wrong, or a model comes twice.
    """
    _require_columns(table)
    found = tuple(
        _reference(table, number, dict(zip(table.columns, row, strict=False)))
        for number, row in enumerate(table.rows, 2)
    )
    require_unique(found, str(table.place))
    return found


def unread_columns(table: Table) -> tuple[str, ...]:
    """Columns that are neither a field nor the name of a search."""
    return tuple(name for name in table.columns if name not in FIELDS and name not in INVERTERS)


def require_unique(references: Iterable[Reference], source: str) -> None:
    """Refuse a model that comes twice: it would be left out and still be known.

    Raises:
        DataError: with its name.
    """
    seen = set[str]()
    for reference in references:
        if reference.model in seen:
            raise DataError(f"{source}: the model {reference.model!r} comes twice; keep one row of it")
        seen.add(reference.model)


def _require_columns(table: Table) -> None:
    missing = [name for name in FIELDS if name not in table.columns and Reference.model_fields[name].is_required()]
    if missing:
        raise DataError(f"{table.place}: no column {missing[0]!r}; needed are {', '.join(FIELDS)} and one a search")
    if not set(table.columns) & set(INVERTERS):
        raise DataError(f"{table.place}: no column has the scores of a search ({', '.join(INVERTERS)})")


def _reference(table: Table, line: int, cells: dict[str, str]) -> Reference:
    where = f"{table.place} row {line}"
    if len(cells) < len(table.columns):
        raise DataError(f"{where}: has {len(cells)} cells of {len(table.columns)}")
    state = cells["infected"].strip().lower()
    if state not in STATES:
        raise DataError(f"{where}: infected is {cells['infected']!r}; write yes or no")
    given = {name: cells[name].strip() for name in FIELDS if name in cells}
    scores = {name: _score(cells[name].strip(), f"{where}, {name}") for name in table.columns if name in INVERTERS}
    try:
        return Reference.model_validate({**given, "infected": STATES[state], "scores": scores})
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"{where}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _score(cell: str, where: str) -> float | None:
    if not cell:
        return None
    try:
        score = float(cell)
    except ValueError:
        raise DataError(
            f"{where}: {cell!r} is no number; leave the cell of a search that did not converge empty"
        ) from None
    if score != score or abs(score) == float("inf"):
        raise DataError(f"{where}: {cell!r} is not finite; leave the cell of a search that did not converge empty")
    return score

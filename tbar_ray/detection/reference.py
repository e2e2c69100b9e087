"""Reference models: models whose state is known, with the scores that searches give them, as rows of a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tbar_ray.data.places import resolve
from tbar_ray.data.raw.table import Table, open_table
from tbar_ray.errors import DataError
from tbar_ray.inversion.registry import INVERTERS
from tbar_ray.naming import nearest

STATES = {"yes": True, "no": False}


class Reference(BaseModel):
    """A model whose state is known.

    Each field is a column of the table; every further column is the name of a search and holds its scores.
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


def read_references(place: str | Path) -> tuple[Reference, ...]:
    """Read a CSV or TSV file of reference models.

    Raises:
        DataError: if it cannot be read, a column is missing or unknown, a cell is wrong, or a model comes twice.
    """
    table = open_table(Path(resolve(place)))
    fields = [name for name in Reference.model_fields if name != "scores"]
    _require_columns(table, fields)
    found = tuple(
        _reference(table, number, dict(zip(table.columns, row, strict=False)), fields)
        for number, row in enumerate(table.rows, 2)
    )
    require_unique(found, str(table.place))
    return found


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


def _require_columns(table: Table, fields: Sequence[str]) -> None:
    optional = {name for name, field in Reference.model_fields.items() if not field.is_required()}
    missing = [name for name in fields if name not in table.columns and name not in optional]
    if missing:
        raise DataError(f"{table.place}: no column {missing[0]!r}; needed are {', '.join(fields)} and one a search")
    unknown = [name for name in table.columns if name not in fields and name not in INVERTERS]
    if unknown:
        known = {*fields, *INVERTERS}
        raise DataError(
            f"{table.place}: column {unknown[0]!r} is neither a field nor a search{nearest(unknown[0], known)}"
        )
    if not set(table.columns) & set(INVERTERS):
        raise DataError(f"{table.place}: no column has the scores of a search ({', '.join(INVERTERS)})")


def _reference(table: Table, line: int, cells: dict[str, str], fields: Sequence[str]) -> Reference:
    where = f"{table.place} row {line}"
    if len(cells) < len(table.columns):
        raise DataError(f"{where}: has {len(cells)} cells of {len(table.columns)}")
    state = cells["infected"].strip().lower()
    if state not in STATES:
        raise DataError(f"{where}: infected is {cells['infected']!r}; write yes or no")
    given = {name: cells[name].strip() for name in fields if name in cells}
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

"""Things by name: hints for misspelt names, and building what a registry lists."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tbar_ray.errors import SpecError

ModelT = TypeVar("ModelT", bound=BaseModel)


def nearest(name: str, known: Iterable[str], most: int = 8) -> str:
    """Return '; did you mean …?', or the known names where none is close, to end an error line."""
    candidates = sorted(known)
    close = get_close_matches(name, candidates, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(repr(match) for match in close)}?"
    listed = ", ".join(candidates[:most]) + (", …" if len(candidates) > most else "")
    return f"; known: {listed}"


def build_named(registry: Mapping[str, type[ModelT]], what: str, name: str, parameters: Mapping[str, object]) -> ModelT:
    """Build an entry of a registry from its name and parameters; `what` is what the registry lists.

    Raises:
        SpecError: one line, if the name or a parameter is unknown or out of range, naming the nearest ones.
    """
    if name not in registry:
        raise SpecError(f"unknown {what} {name!r}{nearest(name, registry)}")
    entry = registry[name]
    try:
        return entry(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])  # empty where a rule joins several fields
        hint = nearest(field, entry.model_fields) if first["type"] == "extra_forbidden" else ""
        message = first["msg"].removeprefix("Value error, ")  # pydantic's prefix of a validator's own words
        raise SpecError(f"{what} {name!r}: {field + ': ' if field else ''}{message}{hint}") from None

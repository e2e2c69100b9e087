"""Names in messages: suggestions for misspelt ones, registry entries built from parameters, numbers with their noun."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from tbar_ray.errors import SpecError

ModelT = TypeVar("ModelT", bound=BaseModel)


def nearest(name: str, known: Iterable[str], most: int = 8) -> str:
    """End of an error line: '; did you mean …?', or up to `most` known names if none is close."""
    candidates = sorted(known)
    close = get_close_matches(name, candidates, n=3, cutoff=0.5)
    if close:
        return f"; did you mean {' or '.join(repr(match) for match in close)}?"
    listed = ", ".join(candidates[:most]) + (", …" if len(candidates) > most else "")
    return f"; known: {listed}"


def build_named(registry: Mapping[str, type[ModelT]], what: str, name: str, parameters: Mapping[str, object]) -> ModelT:
    """Build a registry entry from its name and parameters; `what` names the kind of entry in errors.

    Raises:
        SpecError: one line, if the name or a parameter is unknown or out of range; it suggests the nearest names.
    """
    if name not in registry:
        raise SpecError(f"unknown {what} {name!r}{nearest(name, registry)}")
    entry = registry[name]
    try:
        return entry(**parameters)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])  # empty for a rule on several fields
        hint = nearest(field, entry.model_fields) if first["type"] == "extra_forbidden" else ""
        message = first["msg"].removeprefix("Value error, ")  # pydantic's prefix to a validator's message
        raise SpecError(f"{what} {name!r}: {field + ': ' if field else ''}{message}{hint}") from None


def counted(number: int, one: str, many: str | None = None) -> str:
    """'1 trial' or '2,000 trials': the noun in the plural, by default with an s, unless there is one."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"

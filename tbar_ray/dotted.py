"""The values of nested mappings, such as a spec, by their dotted paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def leaves(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield path and value of what is no mapping, or an empty one: `("model.training.epochs", 8)`; lists are values."""
    for name, value in content.items():
        path = f"{above}{name}"
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{path}.")
        else:
            yield path, value


def is_set(value: object) -> bool:
    """Whether a value says anything: not None, and no empty mapping or list."""
    return value is not None and not (isinstance(value, Mapping | list | tuple) and not value)

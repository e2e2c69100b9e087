"""Entries of a registry as a user sees them: what each does, from its docstring, and its parameters."""

from __future__ import annotations

import inspect
from typing import Any

from pydantic import BaseModel


def summary_of(kind: type[BaseModel]) -> str:
    """The first paragraph of an entry's docstring, on one line."""
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def parameters_of(kind: type[BaseModel]) -> dict[str, dict[str, Any]]:
    """Default and description of every parameter."""
    return {
        key: {"default": field.default, "description": _description(kind, key)}
        for key, field in kind.model_fields.items()
    }


def _description(kind: type[BaseModel], parameter: str) -> str:
    """A parameter's description; a class that only changes a default takes it from its base class."""
    bases = (base for base in kind.__mro__ if issubclass(base, BaseModel) and parameter in base.model_fields)
    return next((said for base in bases if (said := base.model_fields[parameter].description)), "")


def entry_table(*columns: str) -> Any:
    """A table of entries, whose names are never broken."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    made = Table(*columns, box=SIMPLE_HEAD, pad_edge=False, show_lines=True)
    made.columns[0].no_wrap = True
    return made


def show_entry(console: Any, kind: type[BaseModel], name: str, facts: str) -> None:
    """Print an entry: its docstring, a line of facts, its parameters."""
    console.print(name, style="bold")
    console.print(f"\n{inspect.cleandoc(kind.__doc__ or '')}\n")
    console.print(facts)
    table = entry_table("parameter", "default", "what it is")
    for key, parameter in parameters_of(kind).items():
        table.add_row(key, str(parameter["default"]), parameter["description"])
    console.print(table)

"""`tbar inversion`: list and describe the searches for an unknown trigger."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbar_ray.cli.completion import inversion_names
from tbar_ray.cli.described import entry_table, parameters_of, show_entry, summary_of

if TYPE_CHECKING:
    from tbar_ray.inversion.base import Inverter

app = typer.Typer(help="List the searches for an unknown trigger, and their parameters.", no_args_is_help=True)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False) -> None:
    """List the searches: what each looks for, and what its score is.

    A name goes into a spec as defender.inversion, or with others as a value of the
    axis `inversion`, where null stands for a defender who is told the trigger.
    """
    from tbar_ray.inversion.registry import INVERTERS

    if as_json:
        typer.echo(json.dumps([_entry(kind) for kind in INVERTERS.values()], indent=1, ensure_ascii=False))
        return
    from tbar_ray.cli.console import table_console

    console = table_console()
    table = entry_table("inversion", "what it looks for", "its score", "needs")
    for kind in INVERTERS.values():
        table.add_row(kind.name, summary_of(kind), kind.measures, _needs(kind))
    console.print(table)
    console.print("`tbar inversion show NAME` gives a search's source and parameters.")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name of `tbar inversion list`.", autocompletion=inversion_names)],
) -> None:
    """Show one search: what it minimises, its source, its parameters with their defaults.

    The parameters go into a spec as inversions.NAME.parameters.

    Example: tbar inversion show decree
    """
    from tbar_ray.cli.console import table_console
    from tbar_ray.inversion.registry import INVERTERS, build_inverter

    build_inverter(name, {})  # the error of a wrong name suggests the nearest ones
    kind = INVERTERS[name]
    show_entry(table_console(), kind, name, f"Needs: {_needs(kind)}. Its score: {kind.measures}.")


def _needs(kind: type[Inverter]) -> str:
    return "clean images and classes" if kind.needs_classes else "clean images"


def _entry(kind: type[Inverter]) -> dict[str, Any]:
    return {
        "name": kind.name,
        "summary": summary_of(kind),
        "score": kind.measures,
        "needs": _needs(kind),
        "parameters": parameters_of(kind),
    }

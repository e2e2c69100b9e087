"""`tbar method`: list and describe the unlearning methods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbar_ray.cli.completion import method_names
from tbar_ray.cli.described import entry_table, parameters_of, show_entry, summary_of

if TYPE_CHECKING:
    from tbar_ray.unlearning.base import Unlearner

app = typer.Typer(help="List the unlearning methods, what each needs, and its hyper-parameters.", no_args_is_help=True)

STRENGTHS = {
    "negation": "strength α: model − α·vector",
    "interpolation": "strength α: from the infected model (0) to the method's (1)",
    "none": "no strength α",
}


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False) -> None:
    """List the methods: what each does, what it needs from the defender, what α means for it.

    A name goes into a spec as unlearning.method, or with others as a value of the
    axis `method`.
    """
    from tbar_ray.unlearning.registry import UNLEARNERS

    if as_json:
        typer.echo(json.dumps([_entry(kind) for kind in UNLEARNERS.values()], indent=1, ensure_ascii=False))
        return
    from tbar_ray.cli.console import table_console

    console = table_console()
    table = entry_table("method", "what it does", "needs", "strength")
    for entry in (_entry(kind) for kind in UNLEARNERS.values()):
        table.add_row(entry["name"], entry["summary"], ", ".join(entry["needs"]), STRENGTHS[entry["strength"]])
    console.print(table)
    console.print("`tbar method show NAME` gives a method's source, hyper-parameters and their published values.")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A name of `tbar method list`.", autocompletion=method_names)],
) -> None:
    """Show one method: formula, source, needs, hyper-parameters with their defaults.

    Defaults are the published values where there are any. The parameters go into
    a spec as unlearning.parameters or methods.NAME.parameters.

    Example: tbar method show twin-distillation
    """
    from tbar_ray.cli.console import table_console
    from tbar_ray.unlearning.registry import UNLEARNERS, build_unlearner

    build_unlearner(name, {})  # the error of a wrong name suggests the nearest ones
    kind = UNLEARNERS[name]
    entry = _entry(kind)
    show_entry(table_console(), kind, name, f"Needs: {', '.join(entry['needs'])}; {STRENGTHS[entry['strength']]}.")


def _entry(kind: type[Unlearner]) -> dict[str, Any]:
    from typing import get_args

    from tbar_ray.unlearning.defender import Need

    return {
        "name": kind.name,
        "summary": summary_of(kind),
        "needs": [need for need in get_args(Need) if need in kind.needs],
        "strength": kind.strength,
        "parameters": parameters_of(kind),
    }

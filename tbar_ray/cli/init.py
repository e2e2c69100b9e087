"""`tbar init`: a spec to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.completion import spec_names
from tbar_ray.cli.options import local_path


def init(
    name: Annotated[
        str,
        typer.Argument(help="Name of a shipped spec; `tbar init --list` lists them.", autocompletion=spec_names),
    ] = "quickstart",
    file: Annotated[
        Path | None,
        typer.Argument(parser=local_path, help="Where to write it; default: NAME.yaml in this folder."),
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the shipped specs and write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE if it exists.")] = False,
) -> None:
    """Write a commented campaign spec to start from.

    The spec is a copy of one that comes with tbar-ray. Its comments say what
    question it answers and what it needs. Its first line tells editors where the
    schema is, so that they check fields and complete them. An existing file is
    kept.

    Examples: tbar init; tbar init attack_matrix mine.yaml; tbar init paper/alpha
    """
    from tbar_ray.errors import SpecError
    from tbar_ray.spec.shipped import starter

    if listing:
        _list()
        return
    file = file or Path(f"{Path(name).name}.yaml")
    text = starter(name, file)
    try:
        if file.exists() and not force:
            raise SpecError(f"{file}: exists already; give another FILE, or --force to overwrite it")
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{file}: {error.strerror or error}") from None
    typer.echo(f"wrote {file}")
    typer.echo(f"next: tbar campaign plan {file}   (stages, trials and cost; computes nothing)")


def _list() -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tbar_ray.cli.console import table_console
    from tbar_ray.spec.shipped import shipped_specs
    from tbar_ray.spec.yaml_reader import read_yaml

    table = Table("spec", "what it is", box=SIMPLE_HEAD, pad_edge=False)
    table.columns[0].no_wrap = True
    for name, path in shipped_specs().items():
        table.add_row(name, read_yaml(path.read_text(encoding="utf-8"), str(path)).get("description", ""))
    table_console().print(table)

"""`tbar spec`: the fields of a campaign spec, for editors and for people."""

from __future__ import annotations

import typer

app = typer.Typer(help="Print the fields of a campaign spec, as JSON Schema or as a reference.", no_args_is_help=True)


@app.command()
def schema() -> None:
    """Print the JSON Schema of a campaign spec.

    Editors with the YAML language server use it for checks and completion. Name
    its file in the first line of a spec: # yaml-language-server: $schema=FILE.
    `tbar init` writes that line for you.

    Example: tbar spec schema > campaign.schema.json
    """
    from tbar_ray.spec.reference import schema_text

    typer.echo(schema_text(), nl=False)


@app.command()
def reference() -> None:
    """Print every field of a campaign spec in Markdown: type, bounds, default, and what it means.

    Example: tbar spec reference | less
    """
    from tbar_ray.spec.reference import reference as text

    typer.echo(text(), nl=False)

"""`tbar data`: make, check, select and compare data sets."""

from __future__ import annotations

import typer

from tbar_ray.cli.data_check import check
from tbar_ray.cli.data_import import import_
from tbar_ray.cli.data_overlap import overlap
from tbar_ray.cli.data_select import select
from tbar_ray.cli.data_synth import synth

app = typer.Typer(help="Make, check, select and compare WebDataset sets.", no_args_is_help=True)
app.command()(synth)
app.command("import")(import_)
app.command()(check)
app.command()(select)
app.command()(overlap)

"""`tbar data`: make and check corpora."""

from __future__ import annotations

import typer

from tbar_ray.cli.data_check import check
from tbar_ray.cli.data_synth import synth

app = typer.Typer(help="Make and check WebDataset corpora.", no_args_is_help=True)
app.command()(synth)
app.command()(check)

"""`tbar data`: make and check corpora."""

from __future__ import annotations

import typer

app = typer.Typer(help="Make and check WebDataset corpora.", no_args_is_help=True)

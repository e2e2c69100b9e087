"""`tbar model compare`: two changes of weights, by part of the model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.console import make_console
from tbar_ray.cli.options import AsJson, local_path

MODEL_OR_VECTOR = "A model, or a vector that a campaign wrote."


def compare(
    base: Annotated[Path, typer.Argument(parser=local_path, help="The model θ that both started from.")],
    first: Annotated[Path, typer.Argument(parser=local_path, help=MODEL_OR_VECTOR)],
    second: Annotated[Path, typer.Argument(parser=local_path, help=MODEL_OR_VECTOR)],
    second_base: Annotated[
        Path | None, typer.Option(parser=local_path, help="The model that SECOND started from, if not BASE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Tell how long two changes of a model are, and the angle between them, by part of the model.

    τ₁ = FIRST − BASE, τ₂ = SECOND − BASE. Lengths are shares of the part's own weights. A cosine of −1: one takes back
    what the other does; 0: they have nothing to do with each other, which is also what two long random changes have.
    The last column is how often τ₂ is in τ₁: `tbar model merge BASE --add SECOND=THAT` is what FIRST does along it.

    Example: tbar model compare infected.safetensors distilled.safetensors triggered.safetensors
    """
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tbar_ray.models.file_comparison import compare as compared

    parts = compared(base, first, second, second_base)
    if as_json:
        typer.echo(json.dumps([asdict(part) for part in parts], indent=1))
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("part", no_wrap=True, min_width=max(len(part.part) for part in parts))
    for title in ("parameters", "‖τ₁‖ / ‖θ‖", "‖τ₂‖ / ‖θ‖", "cosine", "τ₂ in τ₁"):
        table.add_column(title, justify="right")
    moved = [part for part in parts if part.first or part.second]
    for part in moved:
        lengths = (f"{_told(value, 4)}" for value in (part.first, part.second))
        shares = (f"{_told(value, 2)}" for value in (part.cosine, part.share))
        table.add_row(part.part, f"{part.parameters:,}", *lengths, *shares)
    console = make_console()
    if moved:
        console.print(table)
    if still := len(parts) - len(moved):
        console.print(f"{still} part{'s' * (still > 1)} moved by neither")


def _told(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"

"""`tbar model convert`: a checkpoint in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.options import local_path
from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(parser=local_path, help="A checkpoint in any of the known formats: a file or a folder.")
    ],
    to: Annotated[str, typer.Option("--to", help="open_clip or transformers (a folder), or safetensors (a file).")],
    out: Annotated[Path, typer.Option(parser=local_path, metavar="PATH", help="The folder or file to write.")],
    architecture: Annotated[
        str | None,
        typer.Option(help="The model's architecture, e.g. RN50-quickgelu@imagenet; default: as the file states."),
    ] = None,
    text_from: Annotated[
        str | None,
        typer.Option(
            metavar="TAG", help="For an image encoder alone: whose text tower to add, an open_clip tag or a file."
        ),
    ] = None,
) -> None:
    """Write a checkpoint in another format. Every tensor keeps its bits and its type.

    A safetensors file names the architecture that is given here, so that it need not be told again.

    Example: tbar model convert epoch_64.pt --architecture RN50-quickgelu --to open_clip --out cleanclip/
    """
    from tbar_ray.models.conversion import TARGETS
    from tbar_ray.models.conversion import convert as converted

    target = next((name for name in TARGETS if name == to), None)
    if target is None:
        raise SpecError(f"--to {to}: unknown format{nearest(to, TARGETS)}")
    done = converted(checkpoint, target, out, architecture=architecture, text_from=text_from)
    of = f" of {done.architecture}" if done.architecture else ""
    typer.echo(f"{done.path}: {done.tensors} tensors{of}")
    if done.left_out:
        typer.echo(f"left out, no part of the model: {', '.join(done.left_out)}")
    if done.note is not None:
        typer.echo(f"note: {done.note}; written as {done.architecture}, as you say", err=True)

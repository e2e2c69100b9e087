"""`tbar model inspect`: what a checkpoint is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.console import make_console
from tbar_ray.cli.options import AsJson, local_path
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tbar_ray.models.inspection.inspect import Inspection

SHOWN = 5
"""Names that a line lists."""


def inspect(
    checkpoint: Annotated[
        Path,
        typer.Argument(parser=local_path, help="A file, or a folder of open_clip, transformers or a campaign."),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell what a checkpoint is: format, architecture with the evidence for it, what is wrong with it, hash.

    Nothing of the file is run, and it is not loaded: headers, names and shapes are read, and its numbers once. Broken
    files are told as far as they can be read. Exit code 2 if loading would refuse it.

    Example: tbar model inspect epoch_64.pt
    """
    from tbar_ray.models.inspection.inspect import inspect_checkpoint

    inspection = inspect_checkpoint(checkpoint)
    if as_json:
        typer.echo(json.dumps(inspection.to_dict(), indent=1))
    else:
        console = make_console()
        for label, told in _lines(inspection):
            console.print(f"{label:<14} {_harmless(told)}", soft_wrap=True)
    if inspection.problems:
        raise typer.Exit(ExitCode.ERROR)


def _lines(inspection: Inspection) -> Iterator[tuple[str, str]]:
    yield "file", f"{inspection.path}, {inspection.size:,} bytes, {inspection.container}"
    for name, digest in inspection.sha256.items():
        yield "SHA-256", f"{digest}  {name}"
    for problem in inspection.problems:
        yield "problem", problem
    if inspection.unexpected_names:
        yield "refused", ", ".join(inspection.unexpected_names)
    if inspection.format is None:
        return
    yield "format", f"{inspection.format}{_place(inspection)}"
    types = ", ".join(f"{count} {dtype}" for dtype, count in inspection.dtypes.items())
    yield "tensors", f"{inspection.tensors} ({types}), {inspection.parameters:,} parameters"
    if inspection.left_out:
        yield "beside", f"{_some(inspection.left_out)}: no part of the model"
    yield from _architecture(inspection)
    yield "activation", inspection.activation
    yield "normalisation", inspection.normalisation
    for note in inspection.evidence.notes:
        yield "note", note
    for name, (nan, infinite) in list(inspection.not_finite.items())[:SHOWN]:
        yield "not finite", f"{name}: {nan:,} NaN, {infinite:,} infinite"
    if not inspection.not_finite:
        yield "not finite", "none" if inspection.checked else "not counted: the numbers cannot be read"


def _architecture(inspection: Inspection) -> Iterator[tuple[str, str]]:
    guess, fit = inspection.guess, inspection.guess.fit
    if guess.candidates:
        yield "architecture", f"{' or '.join(guess.candidates)}, by names and shapes"
    elif guess.nearest is not None:
        yield "architecture", f"none fits; nearest: {guess.nearest}"
    else:
        yield "architecture", "none known has such names"
    if inspection.evidence.architecture is not None:
        yield "", f"the file says {inspection.evidence.architecture}"
    for clue in inspection.clues:
        yield "", f"{clue.name}{f' {list(clue.shape)}' if clue.shape else ''}: {clue.tells}"
    for label, names in (("missing", fit.missing), ("unexpected", fit.unexpected)):
        if names and guess.nearest is not None:
            yield label, f"{len(names)}: {_some(names)}"
    if fit.misshapen:
        shapes = tuple(f"{name} {list(there)} for {list(wanted)}" for name, there, wanted in fit.misshapen)
        yield "other shape", f"{len(shapes)}: {_some(shapes)}"


def _place(inspection: Inspection) -> str:
    within = f", in {'.'.join(inspection.entries)}" if inspection.entries else ""
    return f"{within}{f', every name begins with {inspection.prefix}' if inspection.prefix else ''}"


def _harmless(text: str) -> str:
    """A text for a terminal: a file chooses its names, and could send the terminal commands."""
    return "".join(character if character.isprintable() else f"\\x{ord(character):02x}" for character in text)


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")

"""Options that several command groups have."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.data.places import expanded, is_file, is_folder, is_remote, unset
from tbar_ray.errors import SpecError
from tbar_ray.redaction import redact


def local_path(text: str) -> Path:
    """A path on this machine that an option or argument names; `~` and `$NAME` mean what they mean in a spec.

    Raises:
        SpecError: if the place is on another machine, the output of a command, or empty, or a variable is not set.
    """
    if is_remote(text):
        raise SpecError(f"{redact(text)}: give a path on this machine")
    if not text.strip():
        raise SpecError("a path is empty: give one, or leave the option out")
    if missing := unset(text):
        raise SpecError(f"{text}: no such path{missing}")
    return expanded(text)


def local_file(text: str) -> Path:
    """As `local_path`, of a file that is there or shall be written.

    Raises:
        SpecError: as `local_path`, or if there is a folder of that name.
    """
    if is_folder(path := local_path(text)):
        raise SpecError(f"{path}: is a folder; give a file")
    return path


def local_folder(text: str) -> Path:
    """As `local_path`, of a folder that is there or shall be made.

    Raises:
        SpecError: as `local_path`, or if there is a file of that name.
    """
    if is_file(path := local_path(text)):
        raise SpecError(f"{path}: is a file; give a folder")
    return path


StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="TBAR_STORE",
        metavar="URL",
        help="artifact store: a folder, s3://…, gs://…; default: store in the folder of results",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON only")]


def typed() -> list[str]:
    """The command as it was typed, word by word."""
    return ["tbar", *sys.argv[1:]]

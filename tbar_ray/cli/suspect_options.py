"""Options of the commands on one model: what it is, and what is suspected."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer

from tbar_ray.cli.completion import trigger_names
from tbar_ray.errors import DataError, SpecError

MODEL, DATA, METHOD, CHOICE, OUTPUT = "Model", "Images and classes", "Method", "Choosing α", "Output"
"""Panels of the help."""

Checkpoint = Annotated[
    str,
    typer.Argument(
        metavar="CHECKPOINT",
        help="a .safetensors or torch file or its URL, the folder of a campaign's model, or a tag of open_clip",
    ),
]
Architecture = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="open_clip name, e.g. ViT-B-32-quickgelu; a campaign's model and a folder with a configuration say it",
        rich_help_panel=MODEL,
    ),
]
TextFrom = Annotated[
    str | None,
    typer.Option(
        metavar="WEIGHTS",
        help="where the text tower of an image encoder alone comes from: an open_clip tag, or a checkpoint",
        rich_help_panel=MODEL,
    ),
]
TriggerName = Annotated[
    str | None,
    typer.Option(
        metavar="TRIGGER",
        help="a name of `tbar trigger list`; a picture: FILE or patch:FILE (a patch), blend:FILE (over the whole "
        "image); or the folder of a campaign's infected model",
        rich_help_panel=MODEL,
        autocompletion=trigger_names,
    ),
]
TriggerParameters = Annotated[
    list[str],
    typer.Option(
        metavar="KEY=VALUE",
        help="a parameter of the trigger, e.g. patch_size=20; may be repeated",
        rich_help_panel=MODEL,
    ),
]
Target = Annotated[
    str | None,
    typer.Option(metavar="CLASS", help="the class that the trigger leads to, e.g. banana", rich_help_panel=MODEL),
]
ClassesFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="class names, one a line; default: those of the labelled images", rich_help_panel=DATA
    ),
]
TemplatesFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="prompts with {} or {c} for the class, one a line; few are fast", rich_help_panel=DATA
    ),
]
Retrieval = Annotated[
    list[str],
    typer.Option(
        metavar="URL", help="a retrieval set in CLIP_benchmark's layout; may be repeated", rich_help_panel=DATA
    ),
]


def parameters_of(given: Iterable[str], option: str) -> dict[str, Any]:
    """Parameters from KEY=VALUE, values in YAML.

    Raises:
        SpecError: if one has no key or no value.
    """
    from tbar_ray.spec.yaml_reader import read_value

    found = {}
    for text in given:
        key, separator, value = text.partition("=")
        if not separator or not key:
            raise SpecError(f"{option} {text}: write KEY=VALUE, e.g. learning_rate=1e-5")
        found[key] = read_value(value, f"{option} {text}")
    return found


def lines_of_file(path: str | None, option: str) -> list[str] | None:
    """The non-empty lines of a text file; None without one.

    Raises:
        DataError: if it cannot be read, or is empty.
    """
    from tbar_ray.data.places import resolve
    from tbar_ray.data.text import decode_text, lines_of

    if path is None:
        return None
    try:
        content = Path(resolve(path)).read_bytes()
    except OSError as error:
        raise DataError(f"{option} {path}: {error.strerror or error}") from None
    lines = list(lines_of(decode_text(content, f"{option} {path}")))
    if not lines:
        raise DataError(f"{option} {path}: is empty; write one a line")
    return lines


def numbers_of(text: str | None, option: str) -> tuple[float, ...] | None:
    """Numbers separated by commas; None for none.

    Raises:
        SpecError: if one is no number.
    """
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise SpecError(f"{option} {text}: write numbers with commas, e.g. 0.8,1,1.2") from None

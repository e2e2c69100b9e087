"""`tbar data overlap`: samples that several sets have in common."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.errors import SpecError
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.data.overlap import Overlap


def overlap(
    places: Annotated[
        list[str],
        typer.Argument(
            help="Two or more of: shards, a set in CLIP_benchmark's layout, a folder of images; or JSON files of keys: "
            "a subset's manifest, an infected model's manifest.json, a vector's samples.json."
        ),
    ],
    fail: Annotated[bool, typer.Option("--fail", help="Exit code 1 if any two have samples in common.")] = False,
    near: Annotated[
        bool,
        typer.Option("--near", help="Also look for images that were resized or encoded anew; decodes every image."),
    ] = False,
    bits: Annotated[
        int | None,
        typer.Option(
            help="With --near: of 64 bits of a visual hash, how many may differ (4); more finds more, and errs."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")] = False,
) -> None:
    """Compare sets by the bytes of their images, and by key.

    Images of the same bytes are the same sample. Keys alone are numbers that
    unrelated sets share; they count only for a file that has nothing else.
    An image that was resized or encoded anew is found with --near alone.

    Example: tbar data overlap corpus imagenet1k --fail

    Example: tbar data overlap corpus imagenet1k --near --json

    Example: tbar data overlap mlruns/store/infected-model-…/manifest.json mlruns/store/vector-…/samples.json
    """
    from tbar_ray.cli.progress import progress_bar
    from tbar_ray.data.compared import open_compared
    from tbar_ray.data.near_duplicates import DEFAULT
    from tbar_ray.data.overlap import overlaps

    sets = {name: opened for place in places for name, opened in open_compared(place).items()}
    if len(sets) < 2:
        raise SpecError("give at least two sets to compare")
    with progress_bar("images") as bar:
        found = overlaps(sets, bar.show, near=(DEFAULT if bits is None else bits) if near else None)
    if as_json:
        typer.echo(json.dumps([each.model_dump() for each in found], indent=1))
    else:
        for each in found:
            _tell(each)
    if fail and any(each.shared for each in found):
        raise typer.Exit(ExitCode.PROBLEMS)


def _tell(found: Overlap) -> None:
    """One line for two sets, and some of what they share."""
    names = f"{found.first} and {found.second}"
    if found.images is None:
        typer.echo(f"{names}: {found.keys:,} keys in common (no images to compare)")
    else:
        same = f", {found.same:,} of them with the same image" if found.keys else ""
        typer.echo(f"{names}: {found.images:,} images in common; {found.keys:,} keys in common{same}")
    for first, second in found.examples:
        typer.echo(f"  {first}" + ("" if first == second else f" is {second}"))
    if found.near is not None:
        typer.echo(f"{names}: {found.near:,} more images look alike")
    for first, second in found.near_examples:
        typer.echo(f"  {first} looks like {second}")

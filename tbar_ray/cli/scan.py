"""`tbar scan`: is a checkpoint infected, towards which class, and how sure is that?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.options import AsJson, local_folder, typed
from tbar_ray.cli.suspect_options import (
    DATA,
    OUTPUT,
    Architecture,
    Checkpoint,
    ClassesFile,
    TemplatesFile,
    lines_of_file,
)
from tbar_ray.colours import warned
from tbar_ray.errors import SpecError
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.onemodel.scan_result import Scan

SEARCHING = "Searches"
EXIT = {"no evidence": ExitCode.DONE, "infected": ExitCode.PROBLEMS, "inconclusive": ExitCode.INCONCLUSIVE}


def scan(
    checkpoint: Checkpoint,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "--images",  # the name that `tbar unlearn` has for the same images
            metavar="URL",
            help="clean images, whose labels are not looked at: a folder, shards, a table, or a CLIP_benchmark set",
            rich_help_panel=DATA,
        ),
    ],
    architecture: Architecture = None,
    classes: ClassesFile = None,
    templates: TemplatesFile = None,
    max_images: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="images to search with; default: as many as the reference models were searched with",
            rich_help_panel=DATA,
        ),
    ] = None,
    search: Annotated[
        list[str],
        typer.Option(
            metavar="NAME", help="a name of `tbar inversion list`; may be repeated", rich_help_panel=SEARCHING
        ),
    ] = [],  # noqa: B006
    calibration: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.json",
            help="of `tbar inversion calibrate`; default: the package's own",
            rich_help_panel=SEARCHING,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of every choice and draw", rich_help_panel=SEARCHING)] = 0,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="DIR",
            help="folder of scan.html and scan.json; default: NAME.scan, here",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Search a checkpoint for a backdoor of which nothing is known.

    Several searches look for a change that turns the answers to all images into
    one. Their scores are weighed by those of reference models whose state is
    known. The verdict comes with its probability and measured error rates, the
    class that the found trigger leads to, and pictures of it. Nothing of the
    checkpoint is executed, and no label is needed. A model that no reference
    model is like (--calibration has some of your own) gets no probability, and
    is never said to be without evidence: it is infected or inconclusive.

    Example: tbar scan suspect.pt --architecture ViT-B-32 --data photos --classes names.txt

    Example: tbar unlearn suspect.pt --architecture ViT-B-32 --images photos --from-scan suspect.scan

    Exit code: 0 no evidence, 1 infected, 3 inconclusive, 2 bad input.
    """
    from tbar_ray.cli.console import make_console
    from tbar_ray.cli.watching import watching
    from tbar_ray.onemodel.scan_record import record_of
    from tbar_ray.onemodel.scan_report import save_scan
    from tbar_ray.onemodel.scanning import scan as search_model
    from tbar_ray.onemodel.writing import stem_of

    if out is not None and not out.parent.is_dir():
        raise SpecError(f"--out {out}: there is no folder {out.parent}; make it first")
    console = make_console(stderr=True)
    with watching() as watch:
        found = search_model(
            checkpoint,
            data,
            lines_of_file(classes, "--classes"),
            architecture=architecture,
            templates=lines_of_file(templates, "--templates"),
            searches=search or None,
            calibration=calibration,
            max_images=max_images,
            seed=seed,
            watch=watch,
            tell=lambda expected: console.print(
                f"This will take {expected}; a search may end earlier.", soft_wrap=True
            ),
        )
    for note in (found.told, *(f"could not be read, and left out: {line}" for line in found.lost)):
        if note:
            console.print(warned(f"note: {note}"), soft_wrap=True)
    command = typed()
    saved = save_scan(found, out or Path(f"{stem_of(found.opened.source)}.scan"), command)
    if as_json:
        import json

        typer.echo(json.dumps(record_of(found, command), indent=1, ensure_ascii=False))
    else:
        _show(found)
        typer.echo(f"page   {saved.page}\nrecord {saved.record}")
    raise typer.Exit(EXIT[found.outcome])


def _show(scan: Scan) -> None:
    """Show the verdict first, then the target, every score, and how far to trust it."""
    from tbar_ray.cli.console import make_console
    from tbar_ray.onemodel.scan_verdict import scan_verdict, target_line

    console, told = make_console(), scan_verdict(scan)
    console.print(told.headline, style="bold", soft_wrap=True)
    console.print(f"target: {target_line(scan)}", soft_wrap=True)
    for line in told.sentences:
        console.print(line, soft_wrap=True)
    for line in told.errors:
        console.print(line, style="dim", soft_wrap=True)

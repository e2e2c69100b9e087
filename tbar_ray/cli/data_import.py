"""`tbar data import`: from raw material to shards."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.options import local_file, local_folder, local_path
from tbar_ray.errors import SpecError

TABLE, EVALUATION, WRITING = "What the columns hold", "Evaluation set", "Writing"


class OnError(StrEnum):
    """What an unreadable sample does."""

    warn = "warn"
    error = "error"


class Split(StrEnum):
    """Parts of an evaluation set."""

    test = "test"
    train = "train"


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            parser=local_path,
            help="A CSV or TSV file of image paths; a folder of images, whose subfolders are classes; or img2dataset's "
            "output, which is checked and stays where it is.",
        ),
    ],
    out: Annotated[Path | None, typer.Argument(parser=local_folder, help="Folder for the shards.")] = None,
    image_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Image path: a column, or a text with columns in braces, 'images/{id}.jpg'. Default image; of a "
            "folder, its images.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    caption_column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN",
            help="Caption: a column, or a text such as 'a photo of a {label}'. Default caption; of a folder, NAME.txt "
            "or NAME.json beside NAME.jpg. Given more than once, each row takes one of them, drawn by its key.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    label_column: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN",
            help="Class. Default none; of a folder with --evaluation, label, the subfolder.",
            rich_help_panel=TABLE,
        ),
    ] = None,
    key_column: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Key. Default the row's number.", rich_help_panel=TABLE),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Write this column to the JSON of the samples.", rich_help_panel=TABLE),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder, metavar="DIR", help="Paths start here. Default: at the table.", rich_help_panel=TABLE
        ),
    ] = None,
    evaluation: Annotated[
        bool,
        typer.Option(
            "--evaluation", help="Write a labelled set in CLIP_benchmark's layout.", rich_help_panel=EVALUATION
        ),
    ] = False,
    split: Annotated[Split, typer.Option(help="Part of the set to write.", rich_help_panel=EVALUATION)] = Split.test,
    classnames: Annotated[
        Path | None,
        typer.Option(
            parser=local_file,
            metavar="FILE",
            help="One class a line. Labels that are none of them are left out; if no label is one and there are as "
            "many of both (WordNet ids), classes are the labels in sorted order. Default: the labels, sorted.",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    templates: Annotated[
        Path | None,
        typer.Option(
            parser=local_file,
            metavar="FILE",
            help="One prompt a line, {c} is the class. Default: OpenAI's 80.",
            rich_help_panel=EVALUATION,
        ),
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(help="Images of each class, chosen by (seed, key). Default all.", rich_help_panel=EVALUATION),
    ] = None,
    min_images: Annotated[
        int, typer.Option(help="Leave out classes with fewer images.", rich_help_panel=EVALUATION)
    ] = 1,
    seed: Annotated[int, typer.Option(help="Seed of --per-class.", rich_help_panel=EVALUATION)] = 0,
    without: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PLACE",
            help="Leave out images that this set has, byte by byte: shards, an evaluation set, a folder of images.",
            rich_help_panel=WRITING,
        ),
    ] = None,
    samples_per_shard: Annotated[int, typer.Option(help="Rows in a shard.", rich_help_panel=WRITING)] = 10_000,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes; default one per processor. They change no shard.", rich_help_panel=WRITING),
    ] = None,
    on_error: Annotated[
        OnError,
        typer.Option(help="What cannot be read is left out and named, or an error.", rich_help_panel=WRITING),
    ] = OnError.warn,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace another import's shards.", rich_help_panel=WRITING)
    ] = False,
) -> None:
    """Write training pairs as img2dataset does, or an evaluation set as CLIP_benchmark does.

    The images' bytes are kept. An import that was interrupted goes on with the
    shards that are missing: run the same command again.

    Example: tbar data import pairs.csv shards --image-column filepath --caption-column title

    Example: tbar data import imagenet/val imagenet1k --evaluation --classnames names.txt

    Example: tbar data import cc3m
    """
    from tbar_ray.cli import import_run as run
    from tbar_ray.data.raw.downloaded import is_downloaded
    from tbar_ray.data.raw.labelled import ClassOptions
    from tbar_ray.data.raw.table import open_table
    from tbar_ray.data.raw.writing import ImportOptions

    of_evaluation = [
        name for name, given in (
            ("--split", split is not Split.test), ("--classnames", classnames), ("--templates", templates),
            ("--per-class", per_class is not None), ("--min-images", min_images != 1), ("--seed", seed),
        ) if given
    ]  # fmt: skip
    if is_downloaded(source):
        if out is not None or evaluation:
            raise SpecError(f"{source} holds shards already, and they are checked where they are: leave out OUT")
        columns_given = (image_column, caption_column, label_column, key_column, keep, images, without)
        if any(given is not None for given in columns_given) or of_evaluation:
            raise SpecError(f"{source} holds shards already, and they are only checked: leave the options out")
        run.check(source)
        return
    if out is None:
        raise SpecError("give OUT, a folder for the shards")
    if of_evaluation and not evaluation:
        raise SpecError(f"{', '.join(of_evaluation)}: of an evaluation set; add --evaluation, or leave it out")
    table = open_table(source)
    columns = run.columns_of(
        table, image_column, tuple(caption_column or ()), label_column, key_column, tuple(keep or ()), evaluation
    )
    options = ImportOptions(samples_per_shard, workers, on_error.value, run.images_of(without or ()), overwrite)
    if not evaluation:
        run.pairs(table, columns, out, options, images)
        return
    classes = ClassOptions(
        run.openai() if templates is None else run.lines(templates),
        None if classnames is None else run.lines(classnames),
        per_class,
        min_images,
        seed,
        split.value,
    )
    said = f"templates: {'the 80 of OpenAI (2103.00020)' if templates is None else templates}"
    run.labelled(table, columns, out, classes, options, images, said)

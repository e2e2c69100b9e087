"""The work of `tbar data import`, with progress bars and what it tells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from tbar_ray.cli.import_view import tell_classes, tell_download, tell_summary
from tbar_ray.cli.progress import progress_bar
from tbar_ray.data.image_hashes import image_hashes
from tbar_ray.data.open_sets import open_sets
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.downloaded import check_download
from tbar_ray.data.raw.labelled import ClassOptions, import_labelled
from tbar_ray.data.raw.pairs import import_pairs
from tbar_ray.data.raw.table import LABEL, PATH, Table
from tbar_ray.data.raw.writing import ImportOptions
from tbar_ray.data.text import decode_text, lines_of
from tbar_ray.errors import DataError, SpecError
from tbar_ray.exit_codes import ExitCode


def columns_of(
    table: Table,
    image: str | None,
    captions: tuple[str, ...],
    label: str | None,
    key: str | None,
    keep: tuple[str, ...],
    evaluation: bool,
) -> Columns:
    """What the options say, with defaults: those of a folder, or the names that CleanCLIP's CSV files have."""
    caption, further = (captions[0], captions[1:]) if captions else (None, ())
    if table.is_folder:
        return Columns(image or PATH, caption, label or (LABEL if evaluation else None), key, keep, further)
    if evaluation and label is None:
        raise SpecError(f"name the class's column with --label-column; {table.place} has: {', '.join(table.columns)}")
    return Columns(image or "image", caption or (None if evaluation else "caption"), label, key, keep, further)


def images_of(places: Sequence[str]) -> frozenset[bytes]:
    """SHA-256 of all images of some sets."""
    found: set[bytes] = set()
    for place in places:
        for name, samples in open_sets(place).items():
            with progress_bar(f"images of {name}", len(samples)) as bar:
                found.update(image_hashes(samples, range(len(samples)), bar.advance).values())
    return frozenset(found)


def lines(file: Path) -> tuple[str, ...]:
    """Lines of a text file, stripped, without empty ones.

    Raises:
        DataError: if it cannot be read or is empty.
    """
    try:
        found = lines_of(decode_text(file.read_bytes(), str(file)))
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from None
    if not found:
        raise DataError(f"{file} is empty")
    return tuple(found)


def openai() -> tuple[str, ...]:
    """OpenAI's 80 prompt templates."""
    from tbar_ray.evaluation.class_prompts import openai_templates  # it needs torch

    return openai_templates()


def pairs(table: Table, columns: Columns, out: Path, options: ImportOptions, images: Path | None) -> None:
    """Write training pairs."""
    with progress_bar("rows", len(table.rows)) as bar:
        summary = import_pairs(table, columns, out, options, images=images, progress=bar.advance)
    tell_summary(summary)


def labelled(
    table: Table,
    columns: Columns,
    out: Path,
    classes: ClassOptions,
    options: ImportOptions,
    images: Path | None,
    said: str,
) -> None:
    """Write a split of an evaluation set; `said` tells which templates it has."""
    with progress_bar("images") as bar:
        summary, chosen = import_labelled(table, columns, out, classes, options, images=images, progress=bar.advance)
    tell_classes(chosen, said)
    tell_summary(summary)


def check(source: Path) -> None:
    """Check what img2dataset has downloaded; exit code 1 if there are problems."""
    with progress_bar("shards") as bar:
        report = check_download(source, bar.show)
    tell_download(report)
    if report.problems:
        raise typer.Exit(ExitCode.PROBLEMS)

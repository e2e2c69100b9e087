"""From raw material to an evaluation set in CLIP_benchmark's layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tbar_ray.data.benchmark_layout import read_lines
from tbar_ray.data.class_numbers import numbers_of
from tbar_ray.data.folder import class_of_subfolder
from tbar_ray.data.layout import CLASSNAMES, COUNT, SplitName
from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.identity import identity_of
from tbar_ray.data.raw.samples import RawSamples, shown_label
from tbar_ray.data.raw.table import Table
from tbar_ray.data.raw.writing import ImportOptions, ImportSummary, pieces, write_pieces
from tbar_ray.data.selection import ranked, readable, take
from tbar_ray.data.shard_writer import Progress, write_classes, write_texts
from tbar_ray.errors import DataError


@dataclass(frozen=True)
class ClassOptions:
    """Which classes an evaluation set has, and how many images of each.

    Attributes:
        classnames: the classes in the order of their numbers; None: all labels, sorted.
        templates: prompt templates with `{c}` for the class.
        per_class: images of each class, chosen by (seed, key); None for all.
        min_images: classes with fewer images are left out.
        seed: of the choice.
        split: the part of the set that is written.
    """

    templates: tuple[str, ...]
    classnames: tuple[str, ...] | None = None
    per_class: int | None = None
    min_images: int = 1
    seed: int = 0
    split: SplitName = "test"

    def __post_init__(self) -> None:
        for name, value in (("per class", self.per_class), ("min images", self.min_images)):
            if value is not None and value < 1:
                raise DataError(f"{name} must be at least 1, not {value}")
        if without := next((text for text in self.templates if "{c}" not in text and "{}" not in text), None):
            raise DataError(f"template {without!r} has no {{c}} for the class name")
        names = self.classnames or ()
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"class name {twice[0]!r} is listed twice: images of one of the two could not be answered")


@dataclass(frozen=True)
class Labelled:
    """The images of an evaluation set.

    Attributes:
        classnames: C class names.
        positions: rows that are in it, ascending.
        labels: their class numbers.
        left_out: images of each label that is no class of the set.
        unlabelled: rows without a label, one line each: key and reason.
        short: classes that have fewer images than `per_class`, with their number.
        by_order: class of each label, where no label is a class name and they were taken in sorted order.
    """

    classnames: tuple[str, ...]
    positions: tuple[int, ...]
    labels: tuple[int, ...]
    left_out: dict[str, int]
    unlabelled: tuple[str, ...]
    short: dict[str, int]
    by_order: dict[str, str] = field(default_factory=dict)


def choose(samples: RawSamples, options: ClassOptions) -> Labelled:
    """Choose classes, and images of each.

    Raises:
        DataError: if an image lies in no class's folder, or no class is left.
    """
    members: dict[str, list[int]] = {}
    unlabelled: list[int] = []
    for position in range(len(samples)):
        label = samples.written_label(position)
        unlabelled.append(position) if label is None else members.setdefault(label, []).append(position)
    if samples.is_folder and unlabelled:
        raise DataError(
            f"{samples.path(unlabelled[0])} lies in no class's subfolder; an evaluation set needs one subfolder a class"
        )
    enough = sorted(label for label, positions in members.items() if len(positions) >= options.min_images)
    shown = [shown_label(label, of_folder=samples.is_folder) for label in enough]
    names = tuple(shown) if options.classnames is None else options.classnames
    numbers = (
        dict(zip(enough, range(len(enough)), strict=True)) if options.classnames is None else numbers_of(enough, names)
    )
    if not numbers:
        raise DataError(_none_left(members, options))
    chosen: dict[int, int] = {}
    short: dict[str, int] = {}
    for label, number in numbers.items():
        positions = _taken(samples, members[label], options)
        chosen.update(dict.fromkeys(positions, number))
        if options.per_class is not None and len(positions) < options.per_class:
            short[names[number]] = len(positions)
    order = sorted(chosen)
    left_out = {label: len(positions) for label, positions in sorted(members.items()) if label not in numbers}
    lacking = tuple(f"{samples.keys[p]}: {samples.damage(p) or 'no label'}" for p in unlabelled)
    unnamed = not any(class_of_subfolder(label, names) for label in numbers)
    by_order = {label: names[number] for label, number in numbers.items()} if options.classnames and unnamed else {}
    return Labelled(names, tuple(order), tuple(chosen[p] for p in order), left_out, lacking, short, by_order)


def _taken(samples: RawSamples, positions: Sequence[int], options: ClassOptions) -> Sequence[int]:
    """All images of a class, or as many readable ones as are wanted."""
    if options.per_class is None:
        return positions
    position_of = {samples.keys[position]: position for position in positions}
    keys = take(
        ranked(position_of, options.seed, "evaluation set"),
        options.per_class,
        accept=lambda key: readable(samples, position_of[key]),
    )
    return [position_of[key] for key in keys]


def _none_left(members: dict[str, list[int]], options: ClassOptions) -> str:
    labels = ", ".join(repr(label) for label in sorted(members)[:5])
    if not members:
        return "no row has a label; name its column with --label-column"
    if options.classnames is None:
        return f"no class has {options.min_images} images; lower --min-images"
    return f"no label is one of the {len(options.classnames)} class names; labels are {labels}, …"


def import_labelled(
    table: Table,
    columns: Columns,
    out: Path,
    classes: ClassOptions,
    options: ImportOptions,
    *,
    images: Path | None = None,
    progress: Progress | None = None,
) -> tuple[ImportSummary, Labelled]:
    """Write `SPLIT/0.tar`, … with `KEY.jpg` (or png, webp) and `KEY.cls`, class names and templates.

    Arguments are those of `import_pairs`, and `classes`.

    Raises:
        DataError: as `choose` and `write_pieces`, or if the set has another split with other classes.
    """
    samples = RawSamples.of(table, columns, images)
    labelled = choose(samples, classes)
    _check_classes(out, labelled.classnames)
    folder = out / classes.split
    shards = pieces(folder, samples, labelled.positions, options, name="{}.tar", labels=labelled.labels)
    chosen = {**asdict(classes), "classnames": labelled.classnames}
    del chosen["templates"]
    summary = write_pieces(folder, shards, {**identity_of(table, columns), **chosen}, options, progress)
    write_classes(out, labelled.classnames, classes.templates)
    write_texts({folder / COUNT: str(summary.shards)})
    return summary, labelled


def _check_classes(out: Path, classnames: Sequence[str]) -> None:
    if not (out / CLASSNAMES).is_file() or not any(out.glob(f"*/{COUNT}")):
        return
    known = read_lines(str(out), CLASSNAMES)
    if known != list(classnames):
        raise DataError(
            f"{out} has {len(known)} classes, this import {len(classnames)} or others; give "
            f"--classnames {out / CLASSNAMES}, or choose another folder"
        )

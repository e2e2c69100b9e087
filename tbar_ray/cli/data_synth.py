"""`tbar data synth`: write the embedded data sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.options import local_path
from tbar_ray.data.synthetic import Scenes
from tbar_ray.errors import SpecError

if TYPE_CHECKING:
    from tbar_ray.data.shard_writer import CorpusSummary
    from tbar_ray.data.synthetic.encode import ImageFormat

CORPUS, EVALUATION, TASKS, RETRIEVAL = "Training corpus", "Evaluation set", "Tasks", "Retrieval set"


class Format(StrEnum):
    """Image formats of a procedural corpus."""

    jpg = "jpg"
    png = "png"


class Kind(StrEnum):
    """Kinds of scenes."""

    plain = "plain"
    rich = "rich"


def synth(
    out: Annotated[
        Path, typer.Argument(parser=local_path, help="Folder for the shards; other sets go to folders in it.")
    ],
    samples: Annotated[
        int | None, typer.Option(help="Write a corpus of this many image-caption pairs.", rich_help_panel=CORPUS)
    ] = None,
    scenes: Annotated[
        Kind,
        typer.Option(
            help="plain: one object in 60 classes; rich: several objects, relations, counts and textures, 480 classes. "
            "Applies to the corpus, the evaluation set and the retrieval set; tasks are always plain.",
        ),
    ] = Kind.plain,
    evaluation: Annotated[
        bool, typer.Option("--eval", help="Write a zero-shot set to OUT/eval.", rich_help_panel=EVALUATION)
    ] = False,
    eval_per_class: Annotated[int, typer.Option(help="Images of each class.", rich_help_panel=EVALUATION)] = 40,
    task: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Write a labelled task, with train/ and test/, to OUT/tasks/NAME: sketches, night, shapes or "
            "colours. May be given several times.",
            rich_help_panel=TASKS,
        ),
    ] = None,
    train_per_class: Annotated[
        int, typer.Option(help="Training images of each class of a task.", rich_help_panel=TASKS)
    ] = 200,
    test_per_class: Annotated[
        int, typer.Option(help="Test images of each class of a task.", rich_help_panel=TASKS)
    ] = 40,
    retrieval: Annotated[
        int | None,
        typer.Option(
            metavar="PAIRS",
            help="Write this many images, with one or two captions each, to OUT/retrieval.",
            rich_help_panel=RETRIEVAL,
        ),
    ] = None,
    size: Annotated[int, typer.Option(help="Side of the square images in pixels, at least 16.")] = 64,
    samples_per_shard: Annotated[int, typer.Option(help="1 to 10000.")] = 1000,
    seed: Annotated[int, typer.Option(help="Same options and seed: same files, to the byte.")] = 0,
    image_format: Annotated[Format, typer.Option("--format", help="JPEG (4:4:4) or PNG.")] = Format.jpg,
    workers: Annotated[int | None, typer.Option(help="Processes; default one per processor.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run's shards.")] = False,
) -> None:
    """Write procedural data: captioned scenes of coloured shapes as WebDataset shards.

    The corpus is in img2dataset's layout; the other sets are in CLIP_benchmark's.

    Example: tbar data synth corpus --samples 30000 --eval

    Example: tbar data synth corpus --task sketches --task night --retrieval 1000
    """
    from tbar_ray.data.synthetic.families import FAMILIES
    from tbar_ray.data.synthetic.options import WritingOptions
    from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
    from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
    from tbar_ray.data.synthetic.tasks import find_task, write_task

    encoding: ImageFormat = "png" if image_format is Format.png else "jpg"
    options = WritingOptions(size, samples_per_shard, seed, workers, encoding, overwrite)
    kind: Scenes = "rich" if scenes is Kind.rich else "plain"
    jobs: list[_Job] = []
    if samples is not None:
        jobs.append(_Job("training", samples, partial(write_corpus, out, options, samples=samples, scenes=kind)))
    if evaluation:
        write = partial(write_evaluation_set, out / "eval", options, per_class=eval_per_class, scenes=kind)
        jobs.append(_Job("evaluation", eval_per_class * len(FAMILIES[kind].classnames), write))
    for name in dict.fromkeys(task or ()):
        total = (train_per_class + test_per_class) * len(find_task(name).classnames)
        write = partial(write_task, out / "tasks" / name, options, task=name)
        jobs.append(_Job(name, total, partial(write, per_class_train=train_per_class, per_class_test=test_per_class)))
    if retrieval is not None:
        write = partial(write_retrieval_set, out / "retrieval", options, pairs=retrieval, scenes=kind)
        jobs.append(_Job("retrieval", retrieval, write))
    if not jobs:
        raise SpecError("nothing to write: give --samples, --eval, --task or --retrieval")
    _run(jobs)


@dataclass(frozen=True)
class _Job:
    """One set to write: its name, its samples, and the function that writes it, given `progress`."""

    name: str
    total: int
    write: Callable[..., CorpusSummary]


def _run(jobs: Sequence[_Job]) -> None:
    """Write one set after the other under a progress bar, then tell what was written where."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tbar_ray.cli.console import make_console

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    lines = []
    with Progress(*columns, console=make_console(stderr=True), transient=True) as bar:
        for job in jobs:
            row = bar.add_task(job.name, total=job.total)
            summary = job.write(progress=partial(bar.advance, row))
            shards = f"{summary.shards} shard" + ("" if summary.shards == 1 else "s")
            lines.append(
                f"{summary.samples} {job.name} scenes in {shards} ({summary.bytes / 1e6:.1f} MB) -> "
                f"{summary.path} ({summary.samples / summary.seconds:.0f} scenes/s)"
            )
    for line in lines:
        typer.echo(line)

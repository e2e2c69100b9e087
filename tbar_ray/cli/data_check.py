"""`tbar data check`: look for damage in a corpus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.colours import FAILURE, GOOD, warned
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.data.check import CorpusReport
    from tbar_ray.data.check_set import SetReport


def check(
    url: Annotated[
        str,
        typer.Argument(
            help="Directory, glob, brace pattern or tar, or a set in CLIP_benchmark's layout; local, s3://, gs://, "
            "https://; pipe:COMMAND runs COMMAND."
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON, and nothing else.")] = False,
    decode: Annotated[bool, typer.Option("--decode/--no-decode", help="Decode every image.")] = True,
    workers: Annotated[int | None, typer.Option(help="Processes; default one per processor.")] = None,
) -> None:
    """Check every shard and sample of a corpus or an evaluation set; exit code 1 if there are problems.

    Of an evaluation, task or retrieval set in CLIP_benchmark's layout, every split is
    checked, with class names, templates and class numbers.

    Example: tbar data check 'corpus/{00000..00331}.tar'

    Example: tbar data check imagenet1k
    """
    from tbar_ray.cli.console import make_console
    from tbar_ray.cli.progress import progress_bar
    from tbar_ray.data.check import CorpusReport, check_corpus
    from tbar_ray.data.check_set import check_set, is_set
    from tbar_ray.data.places import PIPE
    from tbar_ray.redaction import redact

    if url.startswith(PIPE):
        make_console(stderr=True).print(f"a shell runs: {redact(url.removeprefix(PIPE))}", soft_wrap=True)
    report: CorpusReport | SetReport
    with progress_bar("shards") as bar:
        checked = check_set if is_set(url) else check_corpus
        report = checked(url, decode=decode, workers=workers, progress=bar.show)
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    elif isinstance(report, CorpusReport):
        _show_report(report)
    else:
        _show_set(report)
    if not report.ok:
        raise typer.Exit(ExitCode.PROBLEMS)


def _show_set(report: SetReport) -> None:
    """Print every split as a corpus, then class names and templates."""
    from rich.text import Text

    from tbar_ray.cli.console import make_console

    console = make_console()
    for split, shards in report.splits.items():
        console.print(f"{split}:")
        _show_report(shards)
    for line in report.problems:
        console.print(line, style=FAILURE, soft_wrap=True)
    for line in report.notes:
        console.print(warned(line), soft_wrap=True)
    kind = "retrieval set"
    if report.classes is not None:
        kind = f"evaluation set of {report.classes} classes, {report.templates} templates"
    console.print(Text.assemble(f"{kind}: ", ("ok", GOOD) if report.ok else ("not well", FAILURE)))


def _show_report(report: CorpusReport) -> None:
    """Print a table of the shards (of many, only those with problems), the total, and the first problems."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    from tbar_ray.cli.console import make_console
    from tbar_ray.data.check import PROBLEM_COUNTS

    console = make_console()
    shown = report.shards
    if len(shown) > 30:
        shown = tuple(shard for shard in shown if shard.problem_count)
    short = ("bad\nimage", "no\nimage", "no\ncaption", "blank\ncaption", "twice", "damage")
    table = Table("shard", "MB", "samples", *short, box=SIMPLE, padding=(0, 1, 0, 0))
    for row in (*shown, report.total):
        counts = (getattr(row, name) for name in PROBLEM_COUNTS)
        cells = (Text(f"{count}", style=FAILURE if count else "") for count in counts)
        if row is report.total:
            table.add_section()
        name = row.url.rsplit("/", 1)[-1]
        table.add_row(name, f"{row.bytes / 1e6:.1f}", f"{row.samples}", *cells)
    console.print(table)
    for problem in report.problems[:20]:
        console.print(str(problem), soft_wrap=True)
    rest = report.total.problem_count - min(len(report.problems), 20)
    if rest > 0:
        console.print(f"and {rest} more")
    shards = f"{len(report.shards)} shard" + ("" if len(report.shards) == 1 else "s")
    count = report.total.problem_count
    verdict = ("ok", GOOD) if report.ok else (f"{count} problem{'' if count == 1 else 's'}", FAILURE)
    if report.total.heights and report.total.widths:
        (low, high), (narrow, wide) = report.total.heights, report.total.widths
        console.print(f"images: {low} to {high} pixels high, {narrow} to {wide} wide")
    console.print(Text.assemble(f"{report.total.samples} samples in {shards}: ", verdict))

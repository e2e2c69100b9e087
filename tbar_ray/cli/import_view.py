"""What `tbar data import` tells at its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from tbar_ray.naming import counted

if TYPE_CHECKING:
    from tbar_ray.data.raw.downloaded import DownloadReport
    from tbar_ray.data.raw.labelled import Labelled
    from tbar_ray.data.raw.writing import ImportSummary

NAMED = 10
"""Lost samples that are named in the terminal; the statistics beside the shards name all."""


def tell_summary(summary: ImportSummary) -> None:
    """Tell what was written, and name what was not."""
    _name([str(loss) for loss in summary.lost], ": see the *_stats.json beside the shards")
    if summary.lost:
        typer.echo(f"{counted(len(summary.lost), 'sample')} left out, since they cannot be read")
    if summary.excluded:
        typer.echo(f"{counted(summary.excluded, 'sample')} left out, since the other set has their images")
    kept = f", of which {summary.kept:,} were there" if summary.kept else ""
    typer.echo(
        f"{counted(summary.samples, 'sample')} in {counted(summary.shards, 'shard')}{kept} "
        f"({summary.bytes / 1e6:.1f} MB) -> {summary.path} ({summary.seconds:.1f} s)"
    )


def tell_classes(labelled: Labelled, templates: str) -> None:
    """Tell classes and templates of an evaluation set, and which labels are not in it."""
    typer.echo(f"{counted(len(labelled.classnames), 'class', 'classes')}; {templates}")
    if labelled.by_order:
        pairs = [f"{label} → {name}" for label, name in labelled.by_order.items()]
        more = f", and {len(pairs) - NAMED} more" if len(pairs) > NAMED else ""
        typer.echo(f"no label is a class name, so both are taken in sorted order: {', '.join(pairs[:NAMED])}{more}")
    _name(labelled.unlabelled)
    if labelled.unlabelled:
        typer.echo(f"{counted(len(labelled.unlabelled), 'row')} left out for want of a label")
    if labelled.left_out:
        typer.echo(
            f"{counted(len(labelled.left_out), 'label')} left out ({sum(labelled.left_out.values()):,} images): "
            f"{_listed(labelled.left_out)}"
        )
    if labelled.short:
        typer.echo(f"fewer readable images than asked for: {_listed(labelled.short)}")
    if empty := sorted(set(labelled.classnames) - {labelled.classnames[label] for label in labelled.labels}):
        typer.echo(f"{counted(len(empty), 'class', 'classes')} without an image: {', '.join(empty[:NAMED])}")


def tell_download(report: DownloadReport) -> None:
    """Tell what img2dataset downloaded, and what is wrong with it."""
    for problem in report.problems[:NAMED]:
        typer.echo(problem)
    if len(report.problems) > NAMED:
        typer.echo(f"and {len(report.problems) - NAMED} more")
    if report.asked is not None:
        failed = {status: count for status, count in report.statuses.items() if status != "success"}
        typer.echo(f"{report.asked:,} images asked for{'; failed: ' + _listed(failed) if failed else ''}")
    verdict = "ok" if not report.problems else counted(len(report.problems), "problem")
    typer.echo(f"{counted(report.samples, 'sample')} in {counted(report.shards, 'shard')}: {verdict}")


def _name(lost: Sequence[str], where: str = "") -> None:
    """Name the first of what was left out."""
    from tbar_ray.cli.console import make_console
    from tbar_ray.colours import warned

    console = make_console(stderr=True)
    for line in lost[:NAMED]:
        console.print(warned(f"left out: {line}"), soft_wrap=True)
    if len(lost) > NAMED:
        console.print(f"and {len(lost) - NAMED:,} more{where}")


def _listed(counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} ({count:,})" for name, count in list(counts.items())[:NAMED])
    return shown + (", …" if len(counts) > NAMED else "")

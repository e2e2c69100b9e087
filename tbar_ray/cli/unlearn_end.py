"""How `tbar unlearn` ends: refused, or with the verdict, the scores before and after, and the files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from tbar_ray.cli.options import typed
from tbar_ray.colours import warned
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from tbar_ray.errors import NoBackdoorError
    from tbar_ray.onemodel.examine import Examined
    from tbar_ray.onemodel.panels import SecondScan
    from tbar_ray.onemodel.remove import Cleaned
    from tbar_ray.onemodel.saving import Saved


def refuse(
    console: Console, error: NoBackdoorError, examined: Examined | None = None, page: Path | None = None
) -> NoReturn:
    """End without a cleaned file; where the model was examined, the report says what was measured."""
    console.print(warned(f"refused: {error}"), soft_wrap=True)
    if examined is not None and page is not None:
        from tbar_ray.onemodel.report import write_report

        typer.echo(f"report    {write_report(page, examined, command=typed())}")
    raise typer.Exit(ExitCode.NO_BACKDOOR)


def end(cleaned: Cleaned, saved: Saved, again: SecondScan | None = None) -> None:
    """Show the verdict, the scores before and after, and the files; exit with 1 where not all is well.

    Args:
        cleaned: the cleaned model.
        saved: its files.
        again: what a scan says of the cleaned model.
    """
    from rich.table import Table

    from tbar_ray.cli.console import make_console
    from tbar_ray.onemodel.report import score_rows
    from tbar_ray.onemodel.verdict import verdict

    console, told = make_console(), verdict(cleaned.examined, cleaned, again=again)
    console.print(told.headline, style="bold", soft_wrap=True)
    table = Table("on test images", "before", "after", box=None, pad_edge=False)
    for row in score_rows(cleaned.examined, cleaned):
        table.add_row(row.name, row.before, row.after)
    console.print(table)
    console.print(f"α {cleaned.alpha:g} of {', '.join(f'{alpha:g}' for alpha in cleaned.walk.scores)}")
    named = [("cleaned", file) for file in saved.files] + [("manifest", saved.manifest), ("report", saved.report)]
    for name, path in named:
        typer.echo(f"{name:<9} {path}")
    if again is not None:
        console.print(f"scanned again: {again.headline}", soft_wrap=True)
    if told.outcome != "removed" or not cleaned.feasible or (again is not None and again.alarmed):
        raise typer.Exit(ExitCode.PROBLEMS)

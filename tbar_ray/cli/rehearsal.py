"""What `tbar campaign run --rehearse` and `plan --rehearse` show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from tbar_ray.cli.console import table_console
from tbar_ray.colours import FAILURE, WARNING, warned
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from rich.console import Console

    from tbar_ray.campaign.rehearsal import Rehearsal, Rehearsed
    from tbar_ray.spec.campaign import CampaignSpec


def show_plan(spec: CampaignSpec) -> None:
    """Show the trials and stages of a rehearsal, which computes nothing but the sets that it would read."""
    from tbar_ray.campaign.rehearsal import check_rehearsable, plan_rehearsal, replacements
    from tbar_ray.cli.plan_view import kinds_table
    from tbar_ray.planning.plan import make_plan
    from tbar_ray.store.store import Store
    from tbar_ray.store.temporary import temporary

    real = check_rehearsable(spec)
    console = table_console()
    with temporary("rehearsal") as folder:
        planner = plan_rehearsal(spec, folder, here=True, weights=False)
        planned = make_plan(planner, Store(str(folder / "store")))
    console.print(kinds_table(f"rehearsal of {spec.name}: {planned.total_trials} trials", planned))
    _show_replaced(console, replacements(spec, planner), real.missing)


def refuse(others: Mapping[str, object]) -> None:
    """Refuse options that mean nothing in a rehearsal.

    Raises:
        SpecError: if one of them was given.
    """
    from tbar_ray.errors import SpecError

    given = [name for name, value in others.items() if value is not None]
    if given:
        raise SpecError(f"--rehearse runs trials of its own choice: leave out {' and '.join(given)}")


def run(spec: CampaignSpec, address: str | None) -> None:
    """Run a rehearsal, and end with 1 if a trial failed."""
    from tbar_ray.campaign.rehearsal import rehearse
    from tbar_ray.store.temporary import temporary

    console = table_console()
    with temporary("rehearsal") as folder:
        found = rehearse(spec, folder, address, console)
    console.print(stages_table(found.stages))
    _show_replaced(console, found.replaced, found.missing)
    console.print(summary(found), soft_wrap=True)
    for record in found.failed:
        told = f": {record.attack}, {record.method}: {record.reason}"
        console.print(Text.assemble(("failed", FAILURE), told), soft_wrap=True)
    if found.launch.interrupted:
        console.print(Text.assemble(("interrupted", WARNING), ": not all of it was rehearsed"))
        raise typer.Exit(ExitCode.INTERRUPTED)
    if found.failed:
        raise typer.Exit(ExitCode.PROBLEMS)


def stages_table(stages: Iterable[Rehearsed]) -> Table:
    """A row for each kind of stage."""
    table = Table("stages", box=None, pad_edge=False)
    for head in ("number", "longest", "peak memory"):
        table.add_column(head, justify="right")
    for stage in stages:
        memory = "unknown" if stage.memory is None else f"{stage.memory / 1e9:.1f} GB"
        table.add_row(stage.kind, str(stage.number), f"{stage.longest:.1f} s", memory)
    return table


def summary(found: Rehearsal) -> str:
    """What was rehearsed, in a line."""
    from tbar_ray.naming import counted

    named = [counted(len(names), what) for what, names in found.names.items() if names]
    ended = f", {len(found.nothing_found)} ended with a search that found nothing" if found.nothing_found else ""
    return (
        f"rehearsed: {counted(len(found.launch.records), 'trial')} with {' and '.join(named)} in "
        f"{found.launch.seconds:.0f} s; {len(found.failed)} failed{ended}"
    )


def _show_replaced(console: Console, replaced: Iterable[str], missing: Iterable[str]) -> None:
    for line in replaced:
        console.print(f"  {line}", soft_wrap=True, markup=False)
    for line in missing:
        told = warned(f"data are not here: {line} (rehearsed without; run will refuse)")
        console.print(told, soft_wrap=True)

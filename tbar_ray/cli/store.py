"""`tbar store …`: what a store holds, whether it is sound, and making room in it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tbar_ray.cli.console import make_console
from tbar_ray.cli.options import AsJson, StoreUrl
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.records.upkeep import Holding
    from tbar_ray.store.store import Store

app = typer.Typer(no_args_is_help=True, help="Look after the artifact store.")
SHOWN = 20
"""Lines of a list before it is cut."""


def _open(url: str | None) -> Store:
    from tbar_ray.store.paths import default_store
    from tbar_ray.store.store import Store

    return Store(url or default_store())


@app.command()
def ls(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """List what the store holds, by kind of stage and by campaign, with sizes."""
    from tbar_ray.records.upkeep import Upkeep
    from tbar_ray.store.lease import running_campaigns

    opened = _open(store)
    upkeep = Upkeep(opened)
    kinds, campaigns, running = upkeep.by_kind(), upkeep.by_campaign(), running_campaigns(opened)
    total = sum(upkeep.sizes.values())
    if as_json:
        told = {
            "store": opened.url,
            "bytes": total,
            "kinds": {name: vars(holding) for name, holding in kinds.items()},
            "campaigns": {name: vars(holding) for name, holding in campaigns.items()},
            "running": running,
        }
        typer.echo(json.dumps(told, indent=1))
        return
    console = make_console()
    console.print(_table("stages", kinds))
    console.print(_table("campaign (what its trials need; shared artifacts count for each)", campaigns))
    console.print(f"{len(upkeep.sizes)} artifacts, {_size(total)}, in {opened.url}", soft_wrap=True)
    for name in running:
        console.print(f"running: {name}", soft_wrap=True)


@app.command()
def verify(store: StoreUrl = None, as_json: AsJson = False) -> None:
    """Hash every file of every artifact; exit code 1 if one is not what was committed.

    A broken artifact counts as absent: the next run of a campaign computes it again.
    """
    from tbar_ray.records.upkeep import Upkeep

    opened = _open(store)
    found = dict(Upkeep(opened).broken())
    broken = {name: problem for name, problem in found.items() if problem is not None}
    if as_json:
        typer.echo(json.dumps({"store": opened.url, "artifacts": len(found), "broken": broken}, indent=1))
    else:
        for name, problem in broken.items():
            typer.echo(f"{name}: {problem}")
        typer.echo(f"{len(found)} artifacts, {len(broken)} broken, in {opened.url}")
    if broken:
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command()
def gc(
    store: StoreUrl = None,
    yes: Annotated[bool, typer.Option("--yes", help="remove it; otherwise it is only listed")] = False,
    as_json: AsJson = False,
) -> None:
    """List, or with --yes remove, what the store can do without.

    Removed are vectors of trials that were not selected (the best trial of each campaign,
    attack and method by validation is), checkpoints of trainings that have ended, and
    artifacts that are broken. Records, scores, reports and models stay, so that a finished
    campaign stays finished; a vector that is needed again is computed again.

    Nothing is removed while a campaign runs on the store.
    """
    from tbar_ray.records.upkeep import Upkeep

    opened = _open(store)
    upkeep = Upkeep(opened)
    wastes = upkeep.waste()
    total = sum(waste.size for waste in wastes)
    if yes:
        upkeep.remove(wastes)
    if as_json:
        told = {"store": opened.url, "bytes": total, "removed": yes, "waste": [vars(waste) for waste in wastes]}
        typer.echo(json.dumps(told, indent=1))
        return
    for waste in wastes[:SHOWN]:
        typer.echo(f"{_size(waste.size):>9}  {waste.path}  {waste.why}")
    if len(wastes) > SHOWN:
        typer.echo(f"… and {len(wastes) - SHOWN} more")
    typer.echo(f"{_size(total)} {'removed' if yes else 'could be removed; do so with --yes'}")


def _table(what: str, holdings: dict[str, Holding]) -> Table:
    table = Table(what, "artifacts", "size", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, holding in holdings.items():
        table.add_row(name, str(holding.artifacts), _size(holding.size))
    return table


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"

"""`tbar doctor`: is everything there that a campaign needs?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from tbar_ray.cli.console import table_console
from tbar_ray.cli.options import AsJson, StoreUrl, local_path
from tbar_ray.colours import FAILURE, GOOD
from tbar_ray.exit_codes import ExitCode
from tbar_ray.redaction import redact


def doctor(
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SPEC]", parser=local_path, help="campaign spec whose data and needs are looked at too"
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster, auto or HOST:PORT; default $RAY_ADDRESS, else this machine alone")
    ] = None,
    store: StoreUrl = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow; default $MLFLOW_TRACKING_URI, else mlruns/mlflow.db")
    ] = None,
    override: Annotated[
        list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a field of the spec")
    ] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Check store, tracking server, disk, GPUs, packages and a campaign's data, before anything is spent.

    On a cluster every node is asked: it must have the same packages, see what
    this process writes into the store, and find the campaign's data. A small
    file is written, read back and removed; nothing else changes.

    Exit code: 0 all is well, 1 something is not, 2 the spec cannot be read.
    """
    from tbar_ray.campaign.doctor import examine
    from tbar_ray.execution.ray_environment import resolve_address
    from tbar_ray.spec.load import load_spec
    from tbar_ray.store.paths import default_store, tracking_place
    from tbar_ray.store.store import Store

    campaign = None if spec is None else load_spec(spec, override)
    checks = examine(resolve_address(address), Store(store or default_store()), tracking_place(tracking_uri), campaign)
    wrong = sum(not check.ok for check in checks)
    if as_json:
        told = [{**vars(check), "told": redact(check.told)} for check in checks]
        typer.echo(json.dumps({"ok": not wrong, "checks": told}, indent=1))
    else:
        table = Table("", "check", "where", "found", box=None, pad_edge=False)
        for check in checks:
            state = Text("ok", style=GOOD) if check.ok else Text("problem", style=f"bold {FAILURE}")
            table.add_row(state, check.what, check.where, redact(check.told))
        console = table_console()
        console.print(table)
        console.print(f"{len(checks)} checks, {wrong} with a problem")
    if wrong:
        raise typer.Exit(ExitCode.PROBLEMS)

"""`tbar campaign status`: how far a campaign is, and what it has cost."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from tbar_ray.cli.campaign import Overrides, SpecPath, open_campaign
from tbar_ray.cli.console import table_console
from tbar_ray.cli.options import AsJson, StoreUrl
from tbar_ray.colours import warned


def status(
    spec: SpecPath,
    override: Overrides = [],  # noqa: B006
    store: StoreUrl = None,
    cost: Annotated[
        bool, typer.Option("--cost", help="show CPU- and GPU-hours by kind of stage, spent and saved")
    ] = False,
    names: Annotated[
        bool, typer.Option("--names", help="list the trials by fingerprint and name, as export --trial takes them")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show how far a campaign is, from the store alone. A trial whose result is missing or broken is pending.

    With --cost: hours in which the stages under its trials held CPUs and GPUs,
    each counted once, and the hours that would have been spent besides if every
    trial had computed its own; and what attempts held that were cut off. Time of
    stages that failed is not known.
    """
    campaign, opened = open_campaign(spec, override, store)
    from tbar_ray.cli.results import print_results
    from tbar_ray.planning.plan import make_plan
    from tbar_ray.planning.planner import Planner
    from tbar_ray.records.account import account_of
    from tbar_ray.records.ledger import Ledger
    from tbar_ray.records.lost_attempts import lost_attempts_of
    from tbar_ray.records.names import run_name
    from tbar_ray.report.expenses import expense_json, expense_table, lost_json, lost_line, unknown_line
    from tbar_ray.report.losses import losses_lines

    ledger = Ledger(opened, campaign)
    known = ledger.read()
    account = account_of(known)
    lost = lost_attempts_of(opened, ledger.folder) if cost else []
    records = [record for record in known if record.status == "failed" or opened.is_sound(record.path_artifact)]
    planned = make_plan(Planner(campaign), opened)
    states = [record.status for record in records]
    counts = {state: states.count(state) for state in ("done", "infeasible", "dominated", "failed")}
    counts["pending"] = max(0, planned.total_trials - len(records))
    if as_json:
        told = {"campaign": campaign.name, "trials": planned.total_trials, **counts}
        typer.echo(
            json.dumps(told | ({"cost": {**expense_json(account), "lost": lost_json(lost)}} if cost else {}), indent=1)
        )
        return
    console = table_console()
    if records:
        print_results(console, records)
    for line in losses_lines(records):
        console.print(warned(line), soft_wrap=True)
    if names:
        for record in records:
            console.print(f"{record.fingerprint[:8]}  {run_name(record)}", soft_wrap=True)
    if cost:
        console.print(expense_table(account))
        if (unknown := unknown_line(account)) is not None:
            console.print(warned(unknown), soft_wrap=True)
        if (cut := lost_line(lost)) is not None:
            console.print(f"lost: {cut}", soft_wrap=True)
    console.print(f"{campaign.name}: " + ", ".join(f"{count} {state}" for state, count in counts.items()))

"""`tbar campaign`: plan and run; further commands have modules of their own."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from tbar_ray.cli import rehearsal
from tbar_ray.cli.console import table_console
from tbar_ray.cli.mlflow_lines import where_mlflow_is
from tbar_ray.cli.options import AsJson, StoreUrl, local_folder, local_path
from tbar_ray.colours import FAILURE, WARNING, warned
from tbar_ray.exit_codes import ExitCode

app = typer.Typer(help="Plan, run and report ablation campaigns (YAML specs; see jobs/).", no_args_is_help=True)

SpecPath = Annotated[
    Path, typer.Argument(metavar="SPEC", parser=local_path, help="campaign spec, e.g. jobs/quickstart.yaml")
]
Overrides = Annotated[
    list[str], typer.Option("--set", metavar="KEY=VALUE", help="override a field, e.g. --set poison.rate=0.01")
]

Rehearse = Annotated[
    bool,
    typer.Option(
        "--rehearse",
        help="instead try every kind of stage, attack and method once, on random weights and drawn data",
    ),
]


class Retry(StrEnum):
    """Which trials `run --retry` runs again."""

    FAILED = "failed"


def open_campaign(path: Path, overrides: list[str], store_url: str | None) -> tuple[Any, Any]:
    """A campaign's spec with overrides, and the store.

    Commands call it before they load libraries, which takes seconds: a mistake in the spec is told at once.
    """
    from tbar_ray.spec.load import load_spec
    from tbar_ray.store.paths import default_store
    from tbar_ray.store.store import Store

    return load_spec(path, overrides), Store(store_url or default_store())


@app.command()
def plan(
    spec: SpecPath,
    override: Overrides = [],  # noqa: B006
    store: StoreUrl = None,
    rate: Annotated[
        float | None,
        typer.Option(
            "--images-per-second", min=0.001, help="training speed for the cost estimate where none was measured"
        ),
    ] = None,
    stages: Annotated[bool, typer.Option("--stages", help="show every stage, not only how many of each kind")] = False,
    address: Annotated[
        str | None, typer.Option(help="a Ray cluster, auto or HOST:PORT: exit code 1 if its nodes cannot hold a stage")
    ] = None,
    rehearse: Rehearse = False,
    as_json: AsJson = False,
) -> None:
    """Show the stages and trials, what is cached, and a rough cost. Computes nothing, and needs no data.

    Costs are those of similar stages in the store (same kind and architecture).
    For another machine or model give --images-per-second: images through a
    training; an evaluation is taken to be three times as fast. The wall clock
    is that of perfect packing on this machine's CPUs.
    """
    campaign, opened = open_campaign(spec, override, store)
    from tbar_ray.cli.plan_view import kinds_table, plan_lines, stages_table
    from tbar_ray.execution.room import misfit_at
    from tbar_ray.planning.plan import make_plan
    from tbar_ray.planning.planner import Planner
    from tbar_ray.planning.preflight import check_campaign
    from tbar_ray.processors import processors

    if rehearse:
        rehearsal.show_plan(campaign)
        return
    planner = Planner(campaign, without_data=True)
    check_campaign(planner)
    planned = make_plan(planner, opened, rate)
    if as_json:
        typer.echo(json.dumps(planned.to_dict(campaign), indent=1))
        return
    console = table_console()
    title = f"{campaign.name}: {planned.total_trials} trials ({campaign.search.sampler})"
    console.print(stages_table(title, planned) if stages else kinds_table(title, planned))
    if campaign.search.sampler != "grid":
        console.print(f"the sampler chooses the trials: shown is one of {planned.total_trials}")
    for line in planner.warnings:
        console.print(warned(f"warning: {line}"), soft_wrap=True)
    for line in planner.missing:
        told = warned(f"data are not here: {line} (planned without; run will refuse)")
        console.print(told, soft_wrap=True)
    for line in plan_lines(planned, processors(), at_speed=rate is not None):
        console.print(line, soft_wrap=True)
    if address is not None and (lacking := misfit_at(address, campaign.resources)) is not None:
        console.print(Text.assemble(("no room", FAILURE), f": {lacking}"), soft_wrap=True)
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command()
def run(
    spec: SpecPath,
    address: Annotated[
        str | None, typer.Option(help="Ray: local, auto or HOST:PORT; default $RAY_ADDRESS, else local")
    ] = None,
    store: StoreUrl = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow; default $MLFLOW_TRACKING_URI, else mlruns/mlflow.db")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="FOLDER",
            help="folder of the report; default mlruns/reports/NAME/SPEC, to which NAME/latest leads",
        ),
    ] = None,
    override: Overrides = [],  # noqa: B006
    force: Annotated[bool, typer.Option("--force", help="take the campaign over from a launch that runs it")] = False,
    retry: Annotated[
        Retry | None,
        typer.Option(help="of a grid, run only the trials that failed; those that have not run yet are left out"),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="of a grid, run only the K-th of N shares of the trials, for example 2/8"),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="HOURS", help="stop before a stage that would go past it: 20gpuh, 300cpuh"),
    ] = None,
    rehearse: Rehearse = False,
    models: Annotated[
        bool | None,
        typer.Option(
            "--log-models/--no-log-models",
            help="give MLflow the best cleaned model of each attack; default: if its weights are at most 200 MB",
        ),
    ] = None,
    sheets: Annotated[
        bool,
        typer.Option("--sheets/--no-sheets", help="put images whose answer changed into the report"),
    ] = True,
) -> None:
    """Run a campaign; run it again to continue: nothing in the store is computed twice.

    Trials that failed run again at every launch, with those that have not run
    yet. `infeasible` and `dominated` are results, not failures.

    Shares run at one time, on independent clusters, with one --store and one
    --tracking-uri. Table and exit code are of the launch's own trials; its
    report, in a folder of its own, has all trials that the store has by then.
    When all shares have ended, `campaign report` writes the whole.

    A budget is of one launch. Stages are expected to take what those of their
    kind took, in the store or in this launch; the first of a kind that was
    never measured runs if any budget is left.

    At the end every trial gets a sheet of images whose answer changed and of its
    failures, the best on validation first, as far as the report's page has room.

    With --rehearse nothing is measured: store, MLflow and report are temporary (in
    TMPDIR, which all nodes of a cluster must share), and data and weights need not
    be there. It shows seconds and peak memory of each kind of stage.

    Example: tbar campaign run jobs/paper/tbar_vit_b_32.yaml --rehearse

    Exit code: 0 all trials of this launch have a result, 1 some trial failed,
    2 bad input, or MLflow, store or cluster lost, 3 the budget is used up,
    70 a mistake of this program, 130 interrupted.
    """
    campaign, opened = open_campaign(spec, override, store)
    from tbar_ray.campaign.launch import launch
    from tbar_ray.campaign.scope import Scope
    from tbar_ray.cli.results import print_results
    from tbar_ray.errors import TrackingError
    from tbar_ray.execution.budget import Budget
    from tbar_ray.planning.share import Share
    from tbar_ray.report.expenses import expense_line, lost_line
    from tbar_ray.report.folder import PAGE, link_latest, report_folder
    from tbar_ray.report.losses import losses_lines
    from tbar_ray.store.paths import home, tracking_place

    if rehearse:
        rehearsal.refuse({"--retry": retry, "--shard": shard, "--budget": budget})
        rehearsal.run(campaign, address)
        return
    console = table_console()
    uri = tracking_place(tracking_uri)
    scope = Scope(retry is Retry.FAILED, None if shard is None else Share.parse(shard))
    folder = out.absolute() if out else report_folder(home(), campaign, scope.share)
    limit = None if budget is None else Budget.parse(budget)
    result = launch(
        campaign,
        opened,
        uri,
        folder,
        address,
        console,
        force=force,
        scope=scope,
        budget=limit,
        log_models=models,
        sheets=sheets,
    )
    if out is None:
        link_latest(folder)
    if result.records:
        print_results(console, result.records)
    for line in losses_lines(result.records):
        console.print(warned(line), soft_wrap=True)
    console.print(f"{len(result.records)} trials in {result.seconds:.0f} s; {result.failed} failed")
    console.print(f"  cost      {expense_line(result.account)}", soft_wrap=True)
    if (cut := lost_line(result.lost_attempts)) is not None:
        console.print(f"  lost      {cut}", soft_wrap=True)
    console.print(f"  report    {result.report / PAGE}", soft_wrap=True)
    console.print(f"  store     {opened.url}", soft_wrap=True)
    for line in where_mlflow_is(uri, campaign, result.experiment_id):
        console.print(line, soft_wrap=True)
    if result.refused is not None:
        told = f": {result.refused}; run the same command again, with another budget or none, to continue"
        console.print(Text.assemble(("stopped", WARNING), told), soft_wrap=True)
        raise typer.Exit(ExitCode.BUDGET)
    if result.interrupted:
        console.print(Text.assemble(("interrupted", WARNING), ": run the same command again to continue"))
        raise typer.Exit(ExitCode.INTERRUPTED)
    if result.failed:
        raise typer.Exit(ExitCode.PROBLEMS)
    if result.tracking_failure:
        raise TrackingError(f"{result.tracking_failure}; results are safe: run the same command again to record them")

"""`tbar leaderboard`: methods compared over many attacks and seeds; build, run, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.campaign import Overrides, open_campaign
from tbar_ray.cli.completion import method_names
from tbar_ray.cli.console import table_console
from tbar_ray.cli.leaderboard_options import (
    Data,
    Out,
    data_named,
    folder_of,
    mapping_of,
    numbers_of,
    require_places,
    stated_attacks,
    tuning_of,
    words_of,
)
from tbar_ray.cli.leaderboard_view import LINES, board_table, harvested, write_board
from tbar_ray.cli.options import StoreUrl, local_path
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.leaderboard.cell import Cell

app = typer.Typer(
    help="Compare unlearning methods over many attacks and seeds: lines, ranking, page.", no_args_is_help=True
)


@app.command()
def build(
    specs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SPEC]…", parser=local_path, help="campaigns, e.g. jobs/leaderboard.yaml"),
    ] = None,
    store: StoreUrl = None,
    out: Out = None,
    override: Overrides = [],  # noqa: B006
    tuned_by: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="SPEC",
            help="the search of hyper-parameters; default the shipped one of the data set",
        ),
    ] = None,
    complete: Annotated[bool, typer.Option("--complete", help="write nothing if a cell is missing")] = False,
    fill: Annotated[
        Path | None,
        typer.Option(
            parser=local_path,
            metavar="PAGE",
            help="put the best methods into this Markdown page, between <!-- leaderboard:start --> and …end -->",
        ),
    ] = None,
) -> None:
    """Write lines, page and table of campaigns, from the store alone; computes nothing.

    A cell is found by the fingerprint of what it computes: it does not matter which
    campaign computed it, or whether that one has finished. Lines that are in the
    folder stay; a newer line of the same cell replaces the older one. Missing cells
    have lines too, and are never filled in. Without SPEC, page and table are made
    anew of the lines.

    Example: tbar leaderboard build jobs/leaderboard.yaml --out docs/leaderboard
    """
    from tbar_ray.errors import SpecError
    from tbar_ray.leaderboard.boards import Asked, checked
    from tbar_ray.leaderboard.harvest import lacking
    from tbar_ray.leaderboard.writing import fill_in, known_cells

    folder = folder_of(out)
    if not specs and (
        idle := [
            name for name, given in (("--complete", complete), ("--tuned-by", tuned_by), ("--set", override)) if given
        ]
    ):
        raise SpecError(f"{', '.join(idle)}: of a campaign; name one, e.g. jobs/leaderboard.yaml")
    found: list[Cell] = []
    for path in specs or []:
        campaign, opened = open_campaign(path, override, store)
        asked = Asked(data_named(path), tuple(override))
        cells = harvested(checked(campaign, path), opened, tuning_of(tuned_by, campaign), asked)
        missing = [cell for cell in cells if not cell.is_measured]
        if len(missing) == len(cells):
            raise SpecError(f"store {opened.url} has none of the {len(cells)} cells of {path}; run it first")
        if complete and missing:
            raise SpecError(
                f"{path} is not finished: {len(missing)} of {len(cells)} cells are missing: "
                f"{' | '.join(lacking(missing)[:LINES])}"
            )
        found += cells
    if not found and not known_cells(folder):
        raise SpecError(f"{folder} has no lines yet; give a campaign: tbar leaderboard build jobs/leaderboard.yaml")
    write_board(folder, found)
    if fill is not None:
        fill_in(fill, known_cells(folder))
        table_console().print(str(fill), soft_wrap=True, highlight=False)


@app.command()
def run(
    method: Annotated[
        str,
        typer.Option(metavar="NAME", autocompletion=method_names, help="of the campaign, or of `tbar method list`"),
    ],
    parameters: Annotated[
        str | None, typer.Option(metavar="YAML", help="of the method, e.g. '{steps: 20}'; default: the campaign's")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="of the row; default: the method's")] = None,
    alpha: Annotated[str | None, typer.Option(metavar="A,B,…", help="path of α; default: the campaign's")] = None,
    attacks: Annotated[str | None, typer.Option(metavar="A,B,…", help="default: all of the campaign")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="N,N,…", help="default: all of the campaign")] = None,
    search: Annotated[
        str | None, typer.Option(metavar="NAME", help="of `tbar inversion list`: finds the trigger; default: told")
    ] = None,
    data: Data = "scenes",
    tuned_on: Annotated[
        str | None,
        typer.Option(metavar="A,B,…", help="attacks that the parameters were chosen on, or none; they are not ranked"),
    ] = None,
    store: StoreUrl = None,
    out: Out = None,
    override: Overrides = [],  # noqa: B006
    address: Annotated[
        str | None, typer.Option(help="Ray: local, auto or HOST:PORT; default $RAY_ADDRESS, else local")
    ] = None,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow; default $MLFLOW_TRACKING_URI, else mlruns/mlflow.db")
    ] = None,
) -> None:
    """Compute one method's cells and add its row to lines, page and table.

    Run it again to continue: nothing in the store is computed twice. A method that
    the campaign knows runs with the campaign's settings. With --parameters or
    --alpha it is a row of its own, under --name.

    Example: tbar leaderboard run --method rnp --attacks sig,fourier --seeds 0

    Example: tbar leaderboard run --method tbar --name tbar-long --parameters '{steps: 60}'

    Exit code: 0 all cells have a result, 1 some failed, 130 interrupted.
    """
    from tbar_ray.campaign.launch import launch
    from tbar_ray.leaderboard.boards import Asked, Row, board_spec, narrowed
    from tbar_ray.leaderboard.writing import check_folder
    from tbar_ray.report.folder import report_folder
    from tbar_ray.store.paths import default_store, home, tracking_place
    from tbar_ray.store.store import Store

    row = Row(method, name or method, mapping_of(parameters), numbers_of(alpha, "--alpha"))
    chosen = numbers_of(seeds, "--seeds", whole=True)
    whole = board_spec(data, override)
    require_places(data, whole)
    named = words_of(attacks, "--attacks")
    part = narrowed(whole, row, named, None if chosen is None else [int(seed) for seed in chosen], search)
    asked = Asked(data, tuple(override), stated_attacks(tuned_on, whole))
    opened, console = Store(store or default_store()), table_console()
    check_folder(folder_of(out))
    report = report_folder(home(), part)
    ended = launch(part, opened, tracking_place(tracking_uri), report, address, console)
    write_board(folder_of(out), harvested(part, opened, tuning_of(None, part), asked))
    if ended.interrupted:
        raise typer.Exit(ExitCode.INTERRUPTED)
    if ended.failed:
        raise typer.Exit(ExitCode.PROBLEMS)


@app.command()
def show(
    out: Out = None,
    data: Annotated[str | None, typer.Option(metavar="NAME", help="data set; default: all")] = None,
) -> None:
    """Print the ranking of every data set, from the lines.

    Example: tbar leaderboard show --data scenes
    """
    from tbar_ray.errors import SpecError
    from tbar_ray.leaderboard.said import coverage, ranked
    from tbar_ray.leaderboard.summary import boards_of
    from tbar_ray.leaderboard.writing import known_cells
    from tbar_ray.naming import nearest

    folder = folder_of(out)
    cells = known_cells(folder)
    if not cells:
        raise SpecError(f"{folder} has no lines; give the folder with --out, or make one with `tbar leaderboard build`")
    known = {cell.data for cell in cells}
    if data is not None and data not in known:
        raise SpecError(f"--data {data}: no such data set in {folder}{nearest(data, known)}")
    console = table_console()
    for board in boards_of(cells):
        if data in (None, board.data) and board.measured:
            console.print(board_table(board))
            console.print(coverage(board), soft_wrap=True)
            console.print(ranked(board.rankings[0]), soft_wrap=True)

"""`tbar leaderboard`: methods compared over many attacks and seeds; build, run, show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from tbar_ray.cli.campaign import Overrides, open_campaign
from tbar_ray.cli.completion import method_names
from tbar_ray.cli.console import make_console, table_console
from tbar_ray.cli.options import StoreUrl, local_folder, local_path
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.leaderboard.boards import Asked
    from tbar_ray.leaderboard.cell import Cell
    from tbar_ray.leaderboard.tuning import Tuning
    from tbar_ray.spec.campaign import CampaignSpec
    from tbar_ray.store.store import Store

app = typer.Typer(
    help="Compare unlearning methods over many attacks and seeds: lines, ranking, page.", no_args_is_help=True
)

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        parser=local_folder,
        metavar="FOLDER",
        help="with cells.jsonl, the page index.html and table.md; default leaderboard, in $TBAR_HOME or mlruns",
    ),
]
Data = Annotated[str, typer.Option(metavar="NAME", help="scenes, photographs, or the file of another campaign")]
LINES = 12
"""Methods with missing cells that are listed."""


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

    folder = _folder(out)
    if not specs and (
        idle := [
            name for name, given in (("--complete", complete), ("--tuned-by", tuned_by), ("--set", override)) if given
        ]
    ):
        raise SpecError(f"{', '.join(idle)}: of a campaign; name one, e.g. jobs/leaderboard.yaml")
    found: list[Cell] = []
    for path in specs or []:
        campaign, opened = open_campaign(path, override, store)
        asked = Asked(_called(path), tuple(override))
        cells = _harvest(checked(campaign, path), opened, _tuning(tuned_by, campaign), asked)
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
    _write(folder, found)
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

    row = Row(method, name or method, _mapping(parameters), _numbers(alpha, "--alpha"))
    chosen = _numbers(seeds, "--seeds", whole=True)
    whole = board_spec(data, override)
    _require_places(data, whole)
    named = _words(attacks, "--attacks")
    part = narrowed(whole, row, named, None if chosen is None else [int(seed) for seed in chosen], search)
    asked = Asked(data, tuple(override), _stated(tuned_on, whole))
    opened, console = Store(store or default_store()), table_console()
    check_folder(_folder(out))
    report = report_folder(home(), part)
    ended = launch(part, opened, tracking_place(tracking_uri), report, address, console)
    _write(_folder(out), _harvest(part, opened, _tuning(None, part), asked))
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

    folder = _folder(out)
    cells = known_cells(folder)
    if not cells:
        raise SpecError(f"{folder} has no lines; give the folder with --out, or make one with `tbar leaderboard build`")
    known = {cell.data for cell in cells}
    if data is not None and data not in known:
        raise SpecError(f"--data {data}: no such data set in {folder}{nearest(data, known)}")
    console = table_console()
    for board in boards_of(cells):
        if data in (None, board.data) and board.measured:
            console.print(_table(board))
            console.print(coverage(board), soft_wrap=True)
            console.print(ranked(board.rankings[0]), soft_wrap=True)


def _folder(out: Path | None) -> Path:
    """The folder of the leaderboard; by default one of the user's own, so that no published line is replaced."""
    from tbar_ray.store.paths import home

    return out or home() / "leaderboard"


def _table(board: Any) -> Table:
    from tbar_ray.leaderboard.rows import SUMMARY_HEADS, summary_rows

    table = Table(title=board.title)
    for head in SUMMARY_HEADS:
        table.add_column(head.text, justify="left" if head.text in ("method", "defender holds") else "right")
    for row in summary_rows(board):
        table.add_row(*(Text(cell.text) for cell in row.cells))
    return table


def _harvest(spec: CampaignSpec, store: Store, tuning: Tuning, asked: Asked) -> list[Cell]:
    from tbar_ray.leaderboard.harvest import Harvest

    with make_console(stderr=True).status("reading the store") as status:
        return Harvest(spec, store, tuning, asked).cells(
            lambda number: status.update(f"reading the store: {number} cells")
        )


def _write(out: Path, cells: list[Cell]) -> None:
    """Write the folder; print the files, and of the given cells how many are measured and which are not."""
    from tbar_ray.leaderboard.harvest import lacking
    from tbar_ray.leaderboard.writing import add_cells

    _, files = add_cells(out, cells)
    console = table_console()
    for file in files:
        console.print(str(file), soft_wrap=True, highlight=False)
    if not cells:
        return
    console.print(f"{sum(cell.is_measured for cell in cells):,} of {len(cells):,} cells are measured")
    missing = lacking(cells)
    for line in missing[:LINES]:
        console.print(f"  missing  {line}", soft_wrap=True, highlight=False)
    if len(missing) > LINES:
        console.print(f"  missing  and of {len(missing) - LINES} more methods; the page lists all")


def _tuning(path: Path | None, spec: CampaignSpec) -> Tuning:
    """The search of hyper-parameters in a file; None for that of the campaign's data set, or of drawn scenes."""
    from tbar_ray.leaderboard.boards import data_of
    from tbar_ray.leaderboard.tuning import SEARCHES, Tuning
    from tbar_ray.spec.load import load_spec
    from tbar_ray.spec.shipped import shipped_specs

    return Tuning.of(load_spec(path or shipped_specs()[SEARCHES.get(data_of(spec), SEARCHES["scenes"])]))


def _called(path: Path) -> str:
    """What commands call the data set of a campaign's file: its name if it is shipped, else the file."""
    from tbar_ray.leaderboard.shipped import SHIPPED
    from tbar_ray.spec.shipped import shipped_specs

    shipped = shipped_specs()
    same = (data for data, name in SHIPPED.items() if path.resolve() == shipped[name].resolve())
    return next(same, str(path))


def _stated(text: str | None, spec: CampaignSpec) -> frozenset[str] | None:
    """Attacks that a row's parameters were chosen on; None where nothing is said."""
    from tbar_ray.leaderboard.boards import known_attacks

    if text is None:
        return None
    names = [] if text == "none" else _words(text, "--tuned-on") or []
    known_attacks(names, spec, "--tuned-on")
    return frozenset(names)


def _require_places(data: str, spec: CampaignSpec) -> None:
    """Refuse a shipped data set that is somewhere on this machine, and nobody said where."""
    from tbar_ray.errors import SpecError
    from tbar_ray.leaderboard.boards import PLACES, board_spec
    from tbar_ray.leaderboard.shipped import SHIPPED

    if data not in SHIPPED or spec.data.synthetic is not None:
        return
    shipped = board_spec(data).data
    lacking = [place for place, field in zip(PLACES, ("train", "evaluation"), strict=True)
               if getattr(spec.data, field) == getattr(shipped, field)]  # fmt: skip
    if lacking:
        raise SpecError(
            f"--data {data}: say where its images are: {' '.join(f'--set {place}' for place in lacking)} "
            "(docs/datasets.md says how to make them)"
        )


def _mapping(text: str | None) -> dict[str, Any] | None:
    from tbar_ray.errors import SpecError
    from tbar_ray.spec.yaml_reader import read_value

    if text is None:
        return None
    found = read_value(text, "--parameters")
    if not isinstance(found, dict):
        raise SpecError(f"--parameters {text}: give a mapping, as '{{steps: 20, learning_rate: 1.0e-4}}'")
    return found


def _words(text: str | None, option: str) -> list[str] | None:
    from tbar_ray.errors import SpecError

    if text is None:
        return None
    if not (found := [word for part in text.split(",") if (word := part.strip())]):
        raise SpecError(f"{option} {text!r}: names none; give some with commas between them, or leave the option out")
    return found


def _numbers(text: str | None, option: str, *, whole: bool = False) -> list[float] | None:
    from tbar_ray.errors import SpecError

    try:
        return None if text is None else [int(word) if whole else float(word) for word in _words(text, option) or []]
    except ValueError:
        raise SpecError(f"{option} {text}: give numbers with commas between them, as 0,1,2") from None

"""`tbar inversion calibrate`: what the scores of searches mean, from models whose state is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbar_ray.cli.options import local_file
from tbar_ray.colours import warned

if TYPE_CHECKING:
    from tbar_ray.detection.calibration import Calibration


def calibrate(
    table: Annotated[
        str, typer.Argument(metavar="TABLE", help="a CSV or TSV file, one row a model whose state is known")
    ],
    out: Annotated[Path, typer.Option(parser=local_file, metavar="FILE.json", help="the calibration")],
    source: Annotated[
        str | None, typer.Option(metavar="TEXT", help="where the models come from, e.g. a campaign; default: TABLE")
    ] = None,
    parameter: Annotated[
        list[str],
        typer.Option(
            metavar="SEARCH.KEY=VALUE",
            help="what the models were searched with, where it is not the default; may be repeated",
        ),
    ] = [],  # noqa: B006
    false_alarms: Annotated[
        float, typer.Option(min=0, max=0.5, help="share of clean models that may be called infected")
    ] = 0.02,
    misses: Annotated[
        float, typer.Option(min=0, max=0.5, help="share of infected models that may be said to show no evidence")
    ] = 0.02,
) -> None:
    """Fit the weights and thresholds of a verdict, and measure how often it is wrong.

    The columns of TABLE: model (unique), architecture, images (clean images that
    the searches were given), classes (of the head), infected (yes or no), kind
    (the attack; of a clean model how it came about), target (may be empty), and
    one column of scores a search, empty where it did not converge. Other columns
    are named and not read.

    Every figure is of models that the fit did not know, nor any other of their
    attack, or of their kind of clean model.

    Example: tbar inversion calibrate zoo.csv --out calibration.json

    Example: tbar scan suspect.pt --data photos --calibration calibration.json
    """
    from tbar_ray.cli.console import make_console
    from tbar_ray.data.places import resolve
    from tbar_ray.data.raw.table import open_table
    from tbar_ray.detection.calibration import save_calibration
    from tbar_ray.detection.fitting import calibrate as fit
    from tbar_ray.detection.reference import references_of, unread_columns
    from tbar_ray.onemodel.manifest import versions

    opened = open_table(Path(resolve(table)))
    calibration = fit(
        references_of(opened),
        source or Path(table).name,
        versions(),
        parameters=_parameters(parameter),
        most_false_alarms=false_alarms,
        most_misses=misses,
        digest=opened.digest,
    )
    save_calibration(calibration, out)
    if unread := unread_columns(opened):
        make_console(stderr=True).print(warned(f"note: not read, as no search is called so: {', '.join(unread)}"))
    _show(calibration)
    typer.echo(f"calibration {out}")


def _parameters(given: list[str]) -> dict[str, dict[str, Any]]:
    """Parameters by search."""
    from tbar_ray.cli.suspect_options import parameters_of
    from tbar_ray.errors import SpecError

    found: dict[str, dict[str, Any]] = {}
    for name, value in parameters_of(given, "--parameter").items():
        search, dot, key = name.partition(".")
        if not dot or not key:
            raise SpecError(f"--parameter {name}: write SEARCH.KEY=VALUE, e.g. universal-noise.steps=40")
        found.setdefault(search, {})[key] = value
    return found


def _show(calibration: Calibration) -> None:
    """Show what each combination of searches tells."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tbar_ray.cli.console import table_console
    from tbar_ray.onemodel.verdict import rate_text

    console = table_console()
    columns = ("searches", "AUROC", "least, by attack", "cross-entropy", "false alarms", "caught", "missed")
    table = Table(*columns, box=SIMPLE_HEAD, pad_edge=False)
    for each in calibration.combinations:
        found = each.measured
        worst = min(found.by_attack.items(), key=lambda entry: entry[1])
        rates = (rate_text(share.rate) for share in (found.false_alarms, found.caught, found.missed))
        table.add_row(
            ", ".join(each.searches),
            f"{found.auroc:.3f}",
            f"{worst[1]:.3f} {worst[0]}",
            f"{found.cross_entropy:.3f}",
            *rates,
        )
    console.print(table)
    clean, infected = calibration.count(infected=False), calibration.count(infected=True)
    console.print(f"{clean} clean and {infected} infected models; each judged by a fit that knows none of its kind")

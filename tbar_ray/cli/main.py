"""`tbar`: the command line. One module per command group; a `TbarError` becomes one line on stderr."""

from __future__ import annotations

import sys
import traceback

import typer
from rich.text import Text

from tbar_ray import __version__
from tbar_ray.cli import campaign, data, inversion, leaderboard, method, model, spec, store, trigger
from tbar_ray.cli.bench import bench
from tbar_ray.cli.calibrate import calibrate
from tbar_ray.cli.campaign_diff import diff
from tbar_ray.cli.campaign_export import export
from tbar_ray.cli.campaign_profile import profile
from tbar_ray.cli.campaign_report import report
from tbar_ray.cli.campaign_status import status
from tbar_ray.cli.campaign_watch import watch
from tbar_ray.cli.console import make_console, replace_what_cannot_be_shown
from tbar_ray.cli.doctor import doctor
from tbar_ray.cli.evaluate import evaluate
from tbar_ray.cli.init import init
from tbar_ray.cli.scan import scan
from tbar_ray.cli.ui import ui
from tbar_ray.cli.unlearn import unlearn
from tbar_ray.errors import TbarError
from tbar_ray.exit_codes import ExitCode
from tbar_ray.processors import let_waiting_threads_sleep

app = typer.Typer(
    name="tbar",
    help="Backdoors in CLIP: plant them, remove them by TBAR, sweep the ablations over a Ray cluster.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(init)
app.command()(doctor)
app.command()(scan)
app.command()(unlearn)
app.command()(evaluate)
app.add_typer(data.app, name="data")
app.add_typer(trigger.app, name="trigger")
app.add_typer(method.app, name="method")
inversion.app.command()(calibrate)
app.add_typer(inversion.app, name="inversion")
app.add_typer(model.app, name="model")
campaign.app.command()(status)
campaign.app.command()(report)
campaign.app.command()(profile)
campaign.app.command()(export)
campaign.app.command()(diff)
campaign.app.command()(watch)
app.add_typer(campaign.app, name="campaign")
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(spec.app, name="spec")
app.add_typer(store.app, name="store")
app.command()(bench)
app.command()(ui)


def _version(wanted: bool) -> None:
    if wanted:
        make_console().print(f"tbar-ray {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Options of every command."""


def main() -> None:
    """Run the command line; a `TbarError` becomes one line on stderr, another error a traceback."""
    replace_what_cannot_be_shown()
    let_waiting_threads_sleep()
    try:
        app()
    except TbarError as error:
        make_console(stderr=True).print(Text.assemble(("error:", "bold red"), f" {error}"), soft_wrap=True)
        sys.exit(ExitCode.ERROR)
    except Exception:
        traceback.print_exc()
        sys.exit(ExitCode.DEFECT)  # Python's own code, 1, means that a trial failed

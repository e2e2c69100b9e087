"""`tbar ui`: a campaign's runs in MLflow's UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.tracking.links import PORT


def ui(
    campaign: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="a campaign's name; default: the one that was run last")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = PORT,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow; default $MLFLOW_TRACKING_URI, else mlruns/mlflow.db")
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page, if there is a screen")] = True,
) -> None:
    """Open a campaign's trials in MLflow's UI: a table of the axes that vary and the scores, and charts of them.

    The address is printed once the page is there. Ctrl-C ends the server. Where
    MLflow is a server already (--tracking-uri http://…), it only opens its page.

    Example: tbar ui quickstart
    """
    from tbar_ray.errors import TrackingError
    from tbar_ray.redaction import redact
    from tbar_ray.store.paths import sqlite_path, tracking_place
    from tbar_ray.tracking.links import ui_address
    from tbar_ray.tracking.places import check_server, is_server
    from tbar_ray.tracking.ui_server import serving

    uri = tracking_place(tracking_uri)
    address = ui_address(uri, port)
    if is_server(uri):
        check_server(address)
        _show(address, campaign, browser)
        return
    database = sqlite_path(uri)
    if database is not None and not Path(database).exists():
        raise TrackingError(f"no MLflow database at {database}; run a campaign first (`tbar campaign run SPEC`)")
    typer.echo(f"MLflow over {redact(uri)} is starting …")
    try:
        with serving(uri, port) as server:
            _show(address, campaign, browser)
            server.wait()
    except KeyboardInterrupt:
        return


def _show(address: str, campaign: str | None, browser: bool) -> None:
    """Print the addresses of a campaign's pages, and open the first."""
    import webbrowser

    from tbar_ray.tracking.links import compare_page, runs_page
    from tbar_ray.tracking.ui_server import shown_campaign

    found = shown_campaign(address, campaign)
    page = address if found is None else runs_page(address, *found)
    typer.echo(f"runs      {page}")
    if found is not None:
        typer.echo(f"compare   {compare_page(address, *found)}")
    has_screen = sys.platform in ("darwin", "win32") or "DISPLAY" in os.environ or "WAYLAND_DISPLAY" in os.environ
    if browser and has_screen and sys.stdout.isatty():
        webbrowser.open(page)

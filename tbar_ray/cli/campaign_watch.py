"""`tbar campaign watch`: a running campaign, seen from any machine that sees its store."""

from __future__ import annotations

from typing import Annotated

import typer

from tbar_ray.cli.campaign import Overrides, SpecPath, open_campaign
from tbar_ray.cli.options import StoreUrl


def watch(
    spec: SpecPath,
    override: Overrides = [],  # noqa: B006
    store: StoreUrl = None,
    every: Annotated[float, typer.Option(min=0.5, metavar="SECONDS", help="time between two looks")] = 5.0,
) -> None:
    """Watch a campaign that runs anywhere: stages as a tree, what runs, time left, best results so far.

    It reads the store alone, which a running launch tells its state every 5 s. Give
    the spec and the --set options of that launch. It ends when no launch runs; in a
    log it looks once. Ctrl-C ends the view, not the campaign.

    Example: tbar campaign watch jobs/quickstart.yaml --store s3://bucket/store
    """
    campaign, opened = open_campaign(spec, override, store)
    from tbar_ray.campaign.watch import Watcher
    from tbar_ray.campaign.watch import watch as show
    from tbar_ray.cli.console import table_console

    try:
        show(Watcher(campaign, opened), table_console(), every)
    except KeyboardInterrupt:
        return

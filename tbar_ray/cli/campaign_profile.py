"""`tbar campaign profile`: where the time of a campaign goes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from tbar_ray.cli.campaign import Overrides, SpecPath
from tbar_ray.cli.console import table_console
from tbar_ray.cli.options import AsJson, local_file, local_folder

if TYPE_CHECKING:
    from tbar_ray.bench.speed import TrainingSpeed


def profile(
    spec: SpecPath,
    figure: Annotated[
        Path | None,
        typer.Option(parser=local_file, metavar="FILE.png", help="draw the time line into this PNG"),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(parser=local_file, metavar="FILE", help="write the time line for a trace viewer (Perfetto)"),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="FOLDER",
            help="keep store, MLflow's database and report here: a new or empty folder",
        ),
    ] = None,
    override: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Run a campaign from an empty store, and report where its time went.

    Store, MLflow and report are temporary, or in --folder: the usual store is
    neither read nor written. The campaign runs on a Ray of its own on this machine.

    For every training on shards it reports images/s, the share of its time in
    which it waited for data, and its model's FLOP/s over those of a large matrix
    product on the same device.

    Example: tbar campaign profile jobs/quickstart.yaml --figure profile.png
    """
    from tbar_ray.bench.profile import draw_profile, profile_campaign, save_trace
    from tbar_ray.cli.results import print_results
    from tbar_ray.errors import SpecError
    from tbar_ray.processors import processors
    from tbar_ray.spec.load import load_spec
    from tbar_ray.store.temporary import temporary

    campaign = load_spec(spec, override)
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise SpecError(f"--folder {folder}: is not empty; a profile is of a campaign that computes everything")
    with temporary("profile") as scratch:
        found = profile_campaign(campaign, folder or scratch, processors())
    if figure is not None:
        draw_profile(found, figure)
    if trace is not None:
        save_trace(found, trace)
    if as_json:
        speeds = [speed.to_dict() for speed in found.trainings]
        told = {
            **found.summary(),
            "kinds": found.by_kind(),
            "trainings": speeds,
            "trials": [record.model_dump(mode="json") for record in found.records],
        }
        typer.echo(json.dumps(told, indent=1))
        return
    console = table_console()
    table = Table("stages", "number", "seconds", "core-seconds", box=None, pad_edge=False)
    for kind, (count, seconds, core_seconds) in found.by_kind().items():
        table.add_row(kind, str(count), f"{seconds:.1f}", f"{core_seconds:.1f}")
    console.print(table)
    if found.trainings:
        console.print(_speeds(found.trainings))
    print_results(console, found.records)
    console.print(
        f"{found.name}: {found.seconds:.0f} s; {found.before:.0f} s before the first stage, {found.after:.0f} s after "
        f"the last; {found.busy:.0%} of {found.cores} cores inside stages"
    )


def _speeds(trainings: Sequence[TrainingSpeed]) -> Table:
    """A row for each training on shards."""
    columns = ("training", "images/s", "waiting for data", "model GFLOP/s", "of the device's")
    table = Table(*columns, box=None, pad_edge=False)
    for speed in trainings:
        share = "" if speed.utilisation is None else f"{speed.utilisation:.0%}"
        rate = "" if speed.flops is None else f"{speed.flops / 1e9:,.1f}"
        table.add_row(speed.title, f"{speed.images_per_second:,.0f}", f"{speed.waiting_share:.1%}", rate, share)
    return table

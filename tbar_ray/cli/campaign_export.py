"""`tbar campaign export`: the cleaned model of a trial as a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.campaign import Overrides, SpecPath, open_campaign
from tbar_ray.cli.options import StoreUrl, local_path, typed


def export(
    spec: SpecPath,
    out: Annotated[
        Path,
        typer.Option(
            parser=local_path,
            metavar="FILE",
            help="a .safetensors or torch file to write; of a given model that came as a folder, also a folder",
        ),
    ],
    trial: Annotated[
        str | None,
        typer.Option(
            metavar="TRIAL",
            help="a fingerprint or name of `campaign status --names`, or parts of a name with commas; default: the "
            "best on validation",
        ),
    ] = None,
    override: Overrides = [],  # noqa: B006
    store: StoreUrl = None,
) -> None:
    """Write the cleaned model of a trial, with the weights that it was scored with, and FILE.manifest.json.

    The model keeps the format that it came in: entries and prefixes of an infected
    checkpoint, configuration and tokenizer of a folder, and the bits of all tensors
    that the method did not change. A name that fits no trial lists them.

    Example: tbar campaign export jobs/quickstart.yaml --trial "badnets, twin-distillation, forget set 300, clean 0%"
    --out cleaned.safetensors
    """
    campaign, opened = open_campaign(spec, override, store)
    from tbar_ray.campaign.export import export_trial
    from tbar_ray.records.names import run_name

    exported = export_trial(campaign, opened, out, trial, command=typed())
    record = exported.record
    typer.echo(f"trial     {record.fingerprint[:8]} {run_name(record)}: {exported.why}")
    for file in (*exported.files, exported.manifest):
        typer.echo(f"written   {file}")

"""`tbar campaign report`: pages, tables and figures of a campaign, from the store alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.campaign import Overrides, SpecPath, open_campaign
from tbar_ray.cli.options import StoreUrl, local_folder


def report(
    spec: SpecPath,
    out: Annotated[Path, typer.Option(parser=local_folder, metavar="FOLDER", help="folder to write to")],
    sheets: Annotated[
        bool,
        typer.Option(
            "--sheets",
            help="make the sheets of images that are missing, on this machine, as far as the page has room",
        ),
    ] = False,
    override: Overrides = [],  # noqa: B006
    store: StoreUrl = None,
) -> None:
    """Write report.html (one page that opens anywhere), a summary, tables and figures, from the store alone.

    Tables are CSV and Parquet; columns.csv says what their columns mean.

    With --sheets, trials that have no sheet yet get one, of images whose answer
    changed and of failures: that needs the evaluation data. The store keeps the
    sheets, and every later report has them.

    Example: tbar campaign report jobs/quickstart.yaml --out report --sheets
    """
    campaign, opened = open_campaign(spec, override, store)
    from tbar_ray.campaign.sheets import SheetMaker
    from tbar_ray.errors import StoreError
    from tbar_ray.records.ledger import Ledger
    from tbar_ray.report.files import write_report

    records = Ledger(opened, campaign).read()
    if not records:
        raise StoreError(f"store {opened.url} has no trial of campaign {campaign.name}; run it first")
    maker = SheetMaker(campaign, opened, Ledger(opened, campaign).folder) if sheets else None
    files = write_report(campaign, opened, out.absolute(), records, sheets=maker)
    if maker is not None:
        for line in [*maker.problems, f"sheets: {maker.told}"]:
            typer.echo(line, err=True)
    for file in files:
        typer.echo(file)

"""Options that several command groups have."""

from __future__ import annotations

from typing import Annotated

import typer

StoreUrl = Annotated[
    str | None,
    typer.Option(
        "--store",
        envvar="TBAR_STORE",
        metavar="URL",
        help="artifact store: a folder, s3://…, gs://…; default: store in the folder of results",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON only")]

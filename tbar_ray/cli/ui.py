"""`tbar ui`: the MLflow UI over the default tracking database."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer


def ui(
    port: Annotated[int, typer.Option(min=1, max=65535, help="port on 127.0.0.1")] = 5000,
    tracking_uri: Annotated[
        str | None, typer.Option(metavar="URI", help="MLflow; default $MLFLOW_TRACKING_URI, else mlruns/mlflow.db")
    ] = None,
) -> None:
    """Open MLflow's UI on 127.0.0.1 to compare trials (select runs, then Compare). Ctrl-C ends it."""
    from tbar_ray.errors import TrackingError
    from tbar_ray.redaction import redact
    from tbar_ray.store.paths import default_artifacts, sqlite_path, tracking_place

    uri = tracking_place(tracking_uri)
    database = sqlite_path(uri)
    if database is not None and not os.path.exists(database):  # noqa: PTH110
        raise TrackingError(f"no MLflow database at {database}; run a campaign first (`tbar campaign run SPEC`)")
    # the job runner needs more memory than the UI, and this server runs no jobs
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    if (artifacts := default_artifacts(uri)) is not None:
        command += ["--default-artifact-root", artifacts.as_uri()]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    typer.echo(f"MLflow over {redact(uri)}: http://127.0.0.1:{port}")
    os.execve(sys.executable, command, environment)

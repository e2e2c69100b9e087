"""Default places of results: one folder for the store, MLflow's database and its artifacts."""

from __future__ import annotations

import os
from pathlib import Path

from tbar_ray.data.places import resolve


def home() -> Path:
    """Return the folder of results: $TBAR_HOME, else ./mlruns; inside a Ray job ~/.tbar-ray/mlruns.

    A Ray job runs in a temporary copy of the working directory, where results would be lost.
    """
    if "TBAR_HOME" in os.environ:
        return Path(resolve(os.environ["TBAR_HOME"]))
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return Path.home() / ".tbar-ray" / "mlruns"
    return Path("mlruns").absolute()


def default_store() -> str:
    """Return the default artifact store."""
    return str(home() / "store")


def default_tracking_uri() -> str:
    """Return MLFLOW_TRACKING_URI if it is set, else a SQLite database in the folder of results."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def default_artifacts(tracking_uri: str) -> Path | None:
    """Return the artifact folder of new experiments on a local database; servers have their own."""
    if tracking_uri.startswith("sqlite:///"):
        return Path(tracking_uri.removeprefix("sqlite:///")).parent / "artifacts"
    return None

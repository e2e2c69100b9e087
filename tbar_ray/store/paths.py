"""Default places of results: one folder for the store, MLflow's database and its artifacts."""

from __future__ import annotations

import os
from pathlib import Path

from tbar_ray.data.places import resolve


def home() -> Path:
    """Folder of results: $TBAR_HOME, else ./mlruns; inside a Ray job ~/.tbar-ray/mlruns.

    A Ray job runs in a temporary copy of the working directory, where results would be lost.
    """
    if "TBAR_HOME" in os.environ:
        return Path(resolve(os.environ["TBAR_HOME"]))
    if "RAY_JOB_CONFIG_JSON_ENV_VAR" in os.environ:
        return Path.home() / ".tbar-ray" / "mlruns"
    return Path("mlruns").absolute()


def default_store() -> str:
    """Path of the default artifact store: `store` in the folder of results."""
    return str(home() / "store")


def default_tracking_uri() -> str:
    """MLFLOW_TRACKING_URI if it is set, else a SQLite database in the folder of results."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow.db'}"


def default_artifacts(tracking_uri: str) -> Path | None:
    """Artifact folder of new experiments on a local database; None for servers, which have their own."""
    if tracking_uri.startswith("sqlite:///"):
        return Path(tracking_uri.removeprefix("sqlite:///")).parent / "artifacts"
    return None

"""Default places of results: one folder for the store, MLflow's database and its artifacts."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

from tbar_ray.data.places import expanded, resolve, unset
from tbar_ray.errors import StoreError

SQLITE = "sqlite:///"
"""Begins the URI of a SQLite database; its path follows."""


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


def tracking_place(given: str | None = None) -> str:
    """URI where MLflow records: what is given, else MLFLOW_TRACKING_URI, else a database in the folder of results.

    `~` and `$NAME` mean in the path of a SQLite database what they mean in other places.

    Raises:
        StoreError: if such a variable is not set.
    """
    uri = given or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return _sqlite_uri(home() / "mlflow.db")
    path, mark, query = uri.removeprefix(SQLITE).partition("?")
    if not uri.startswith(SQLITE) or not ("$" in path or path.startswith("~")):
        return uri
    if missing := unset(path):
        raise StoreError(f"{uri}: no such database{missing}")
    return f"{SQLITE}{expanded(path)}{mark}{query}"


def sqlite_path(uri: str) -> str | None:
    """Path of the file of a SQLite database, as MLflow's library reads the URI; None for another place."""
    if not uri.startswith(SQLITE):
        return None
    from sqlalchemy.engine import make_url

    path = make_url(uri).database
    return None if path in (None, "", ":memory:") else path


def default_artifacts(tracking_uri: str) -> Path | None:
    """Artifact folder of new experiments on a local database; None for servers, which have their own."""
    path = sqlite_path(tracking_uri)
    return None if path is None else Path(path).parent / "artifacts"


def _sqlite_uri(path: Path) -> str:
    """A database's URI: its path as it is, or quoted where it would be read as another, as with `?` and `%20`."""
    plain = f"{SQLITE}{path}"
    return plain if sqlite_path(plain) == str(path) else f"{SQLITE}{quote(str(path))}"

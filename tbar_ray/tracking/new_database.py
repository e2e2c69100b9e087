"""MLflow's tables in a new SQLite database."""

from __future__ import annotations

import uuid
from glob import escape
from pathlib import Path

from mlflow import MlflowClient

from tbar_ray.store.paths import sqlite_path


def make_database(uri: str) -> None:
    """Make the tables of a SQLite database that has none yet, aside: a process killed meanwhile leaves none half made.

    MLflow makes them in many steps, and refuses for good a database that has some of them. Nobody else may do it at the
    same time (`places.one_at_a_time`).
    """
    place = sqlite_path(uri)
    if place is None:
        return
    path = Path(place)
    if path.is_file() and path.stat().st_size > 0:
        return
    for left in path.parent.glob(f"{escape(path.name)}.new-*"):  # by processes that were killed
        left.unlink()
    aside = path.with_name(f"{path.name}.new-{uuid.uuid4().hex}")  # MLflow remembers databases by their names
    try:
        MlflowClient(tracking_uri=f"sqlite:///{aside}").search_experiments(max_results=1)
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)

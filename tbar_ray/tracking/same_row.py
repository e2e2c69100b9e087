"""Rows of MLflow's database that several launches write at the same time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mlflow.exceptions import MlflowException

TIMES: Final = 5
"""Each further try finds the row there, unless others write it anew."""
TOLD: Final = ("UniqueViolation", "UNIQUE constraint failed", "Duplicate entry", "duplicate key value")
"""What PostgreSQL, SQLite and MySQL say of a row that is there; MLflow passes it on as a bad request."""


def write_beside_others(write: Callable[[], object]) -> None:
    """Write what another launch may write at the same moment: the database takes one of the two, the other tries again.

    MLflow looks for a row (an experiment's tag, a run's parameter) and inserts it if there is none, so that two of its
    requests may both insert.

    Raises:
        MlflowException: another one than of a row that is there, or that one again and again.
    """
    for tried in range(1, TIMES + 1):
        try:
            write()
        except MlflowException as error:
            if tried == TIMES or not any(words in str(error) for words in TOLD):
                raise
        else:
            return

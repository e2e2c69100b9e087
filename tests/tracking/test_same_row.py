"""Rows that several launches write: whoever comes second writes again."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from mlflow.exceptions import MlflowException

from tbar_ray.tracking.same_row import TIMES, write_beside_others

THERE = 'BAD_REQUEST: (psycopg2.errors.UniqueViolation) duplicate key value violates constraint "experiment_tag_pk"'


def failing(times: int, words: str) -> tuple[Callable[[], None], list[int]]:
    """What fails so often before it is written, and the list of its tries."""
    tries: list[int] = []

    def write() -> None:
        tries.append(len(tries))
        if len(tries) <= times:
            raise MlflowException(words)

    return write, tries


def test_a_row_that_another_launch_wrote_first_is_written_again() -> None:
    write, tries = failing(1, THERE)
    write_beside_others(write)
    assert len(tries) == 2


@pytest.mark.parametrize(("words", "expected"), [(THERE, TIMES), ("RESOURCE_DOES_NOT_EXIST: no experiment 7", 1)])
def test_what_goes_on_failing_or_fails_otherwise_is_raised(words: str, expected: int) -> None:
    write, tries = failing(100, words)
    with pytest.raises(MlflowException):
        write_beside_others(write)
    assert len(tries) == expected

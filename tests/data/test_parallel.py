from __future__ import annotations

import os

import pytest

from tbar_ray.data.parallel import completed
from tbar_ray.errors import DataError


def square(number: int) -> int:
    if number == 13:
        raise DataError("13")
    return number**2


def die(number: int) -> int:
    os._exit(number)


def test_results_come_with_their_positions() -> None:
    assert sorted(completed(square, [3, 1, 2], 2, "")) == [(0, 9), (1, 1), (2, 4)]
    assert list(completed(square, [3, 1], 1, "")) == [(0, 9), (1, 1)]
    assert list(completed(square, [], None, "")) == []


def test_errors_are_those_of_the_function() -> None:
    for workers in (1, 2):
        with pytest.raises(DataError, match=r"^13$"):
            list(completed(square, [13, 1], workers, ""))
    with pytest.raises(DataError, match=r"^it died$"):
        list(completed(die, [1, 1], 2, "it died"))
    with pytest.raises(DataError, match="workers must be at least 1, not 0"):
        list(completed(square, [1], 0, ""))

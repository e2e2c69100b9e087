"""Trials on one node and on two: what is made of the times at which they ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.bench import nodes
from tbar_ray.bench.nodes import nodes_benchmark, rate_of


def test_the_first_trials_are_not_measured() -> None:
    assert rate_of([50.0, 10.0, 20.0, 21.0, 23.0, 22.0], warm=3) == pytest.approx(3 / 29)


def test_the_figure_is_the_median_of_two_nodes_over_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([1.0, 1.6, 2.0, 3.6, 1.0, 1.9])
    asked: list[int] = []

    def rate(_: Path, count: int) -> float:
        asked.append(count)
        return next(rates)

    monkeypatch.setattr(nodes, "_rate", rate)
    found = nodes_benchmark(tmp_path, 3)
    assert asked == [1, 2] * 3
    assert (found.value, found.limit, found.reached) == (pytest.approx(1.8), 1.7, True)

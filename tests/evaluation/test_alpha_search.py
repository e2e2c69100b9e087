from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.evaluation.alpha_search import Found, search_alpha
from tbar_ray.evaluation.selection import select

GRID = [round(0.05 * number, 2) for number in range(21)]


@dataclass(frozen=True)
class Point:
    alpha: float
    ca: float
    asr: float


def falling(values: list[float]) -> list[float]:
    return sorted(values, reverse=True)


levels = st.lists(st.integers(0, 200).map(lambda n: n / 200), min_size=21, max_size=21)
CRITERIA = (st.sampled_from([None, 0.01, 0.1, 0.5]), st.floats(0.3, 1.0))


def chosen_as_by_the_grid(ca: list[float], asr: list[float], max_asr: float | None, retention: float) -> int:
    """Compare with the grid; return the number of evaluations."""
    points = [Point(a, c, s) for a, c, s in zip(GRID, ca, asr, strict=True)]
    asked: list[float] = []

    def evaluate(alpha: float) -> Point:
        asked.append(alpha)
        return points[GRID.index(alpha)]

    found = search_alpha(GRID, evaluate, 1.0, retention, max_asr)
    assert found.monotone
    assert found.chosen == select(points, 1.0, retention, max_asr)
    assert len(asked) == len(set(asked))
    assert [p.alpha for p in found.points] == sorted(asked)
    return len(asked)


@given(levels, levels, *CRITERIA)
def test_on_falling_curves_it_chooses_what_the_grid_would(
    ca: list[float], asr: list[float], max_asr: float | None, retention: float
) -> None:
    assert chosen_as_by_the_grid(falling(ca), falling(asr), max_asr, retention) < len(GRID)


strict = st.lists(st.integers(0, 2000).map(lambda n: n / 2000), min_size=21, max_size=21, unique=True)


@given(strict, strict, *CRITERIA)
def test_on_strictly_falling_curves_it_needs_at_most_eight_evaluations(
    ca: list[float], asr: list[float], max_asr: float | None, retention: float
) -> None:
    assert chosen_as_by_the_grid(falling(ca), falling(asr), max_asr, retention) <= 8


@pytest.mark.parametrize(("deviation", "least", "most"), [(0, 0, 0), (0.002, 5, 40), (0.005, 10, 60), (0.01, 15, 80)])
def test_on_noisy_curves_it_is_not_always_the_choice_of_the_grid(deviation: float, least: int, most: int) -> None:
    """The docstring of `search_alpha` and docs/metrics.md give the numbers for 4,000 of these curves."""
    rng, alphas, differ = np.random.default_rng(0), np.array(GRID), 0
    for number in range(500):
        ca = 1 - rng.uniform(0.02, 0.6) * alphas ** rng.uniform(0.5, 3)
        asr = 1 / (1 + np.exp((alphas - rng.uniform(0.1, 0.9)) / rng.uniform(0.02, 0.2)))
        noisy = [np.clip(curve + deviation * rng.normal(size=21), 0, 1) for curve in (ca * rng.uniform(0.6, 1), asr)]
        points = [Point(a, float(c), float(s)) for a, c, s in zip(GRID, *noisy, strict=True)]
        arguments = points[0].ca, 0.95, (None, 0.02, 0.1)[number % 3]
        found = search_alpha(GRID, dict(zip(GRID, points, strict=True)).__getitem__, *arguments)
        differ += found.chosen != select(points, *arguments)
    assert least <= differ <= most


def test_a_curve_that_rises_is_evaluated_whole_and_said_to_be_so() -> None:
    points = [Point(a, 1 - 0.3 * a, 0.9 if a < 0.3 else 0.1 + 0.8 * abs(a - 0.6)) for a in GRID]
    asked: list[float] = []

    def evaluate(alpha: float) -> Point:
        asked.append(alpha)
        return points[GRID.index(alpha)]

    found = search_alpha(GRID, evaluate, 1.0, 0.8)
    assert not found.monotone
    assert found.points == tuple(points)
    assert found.chosen == select(points, 1.0, 0.8)
    assert len(asked) == len(GRID)


@pytest.mark.parametrize("alphas", [[1.0], [2.0, 1.0]])
def test_short_grids_in_any_order(alphas: list[float]) -> None:
    found = search_alpha(alphas, lambda a: Point(a, 1.0, 1 / (1 + a)), 1.0, 0.5)
    assert found.chosen is not None
    assert found.chosen.alpha == max(alphas)


def test_no_alpha_that_keeps_enough_is_no_choice() -> None:
    found = search_alpha(GRID, lambda a: Point(a, 0.1, 0.5), 1.0, 0.95)
    assert found.chosen is None


def glancing(ca: list[float], asr: list[float], max_asr: float | None, retention: float) -> Found[Point]:
    """Search falling curves with sequential tests that tell the truth, and compare with the grid."""
    points = [Point(a, c, s) for a, c, s in zip(GRID, falling(ca), falling(asr), strict=True)]

    def sequential_test(alpha: float) -> bool:
        point = points[GRID.index(alpha)]
        return point.asr <= (max_asr or 0.0) or point.ca < retention

    found = search_alpha(GRID, lambda alpha: points[GRID.index(alpha)], 1.0, retention, max_asr, sequential_test)
    assert found.monotone
    assert found.chosen == select(points, 1.0, retention, max_asr)
    return found


@given(levels, levels, *CRITERIA)
def test_with_sequential_tests_it_still_chooses_what_the_grid_would(
    ca: list[float], asr: list[float], max_asr: float | None, retention: float
) -> None:
    glancing(ca, asr, max_asr, retention)


@given(strict, strict, *CRITERIA)
def test_with_sequential_tests_few_alphas_are_scored_in_full(
    ca: list[float], asr: list[float], max_asr: float | None, retention: float
) -> None:
    assert len(glancing(ca, asr, max_asr, retention).points) <= 3


def test_a_sequential_test_that_the_scores_contradict_leads_to_the_whole_grid() -> None:
    points = [Point(alpha, 1 - alpha / 10, 1 - alpha) for alpha in GRID]
    found = search_alpha(GRID, lambda a: points[GRID.index(a)], 1.0, 0.5, 0.3, lambda a: a >= 0.4)
    assert not found.monotone
    assert found.chosen == select(points, 1.0, 0.5, 0.3)
    assert len(found.points) == len(GRID)

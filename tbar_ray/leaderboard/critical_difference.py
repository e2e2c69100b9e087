"""Do methods differ over attacks? Friedman's test, and Nemenyi's critical difference of mean ranks (Demšar 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
"""Probability of an error of the first kind."""
ENOUGH = 10
"""Attacks from which the tests' approximations hold, by Demšar."""


@dataclass(frozen=True)
class Comparison:
    """Methods compared by their ranks on the same attacks.

    Attributes:
        mean_ranks: by method, the best first; from 1.
        attacks: how many.
        difference: by how much two mean ranks have to differ at least, so that Nemenyi's test tells the methods apart.
        statistic, p: of Friedman's test with Iman and Davenport's correction, F-distributed; None for two methods,
            or where all ranks are tied.
    """

    mean_ranks: Mapping[str, float]
    attacks: int
    difference: float
    statistic: float | None
    p: float | None

    @property
    def groups(self) -> list[tuple[str, ...]]:
        """Largest sets of methods that Nemenyi's test does not tell apart, of two and more, the best first."""
        names, found = list(self.mean_ranks), list[tuple[str, ...]]()
        for first, name in enumerate(names):
            near = [
                other for other in names[first:] if self.mean_ranks[other] - self.mean_ranks[name] < self.difference
            ]
            if len(near) > 1 and not (found and set(near) <= set(found[-1])):
                found.append(tuple(near))
        return found


def compare(blocks: Sequence[Mapping[str, float]]) -> Comparison:
    """Compare methods.

    Args:
        blocks: of each attack the rank of every method, ties sharing the mean; at least two attacks and two methods.

    Returns:
        The comparison. Source: J. Demšar, Statistical Comparisons of Classifiers over Multiple Data Sets, JMLR 7,
        2006.

    Raises:
        ValueError: if there are fewer, or blocks differ in their methods.
    """
    names = sorted(blocks[0]) if blocks else []
    if len(blocks) < 2 or len(names) < 2 or any(set(block) != set(names) for block in blocks):
        raise ValueError("ranks of the same two or more methods on two or more attacks are compared")
    table = np.array([[block[name] for name in names] for block in blocks])
    means = dict(zip(names, table.mean(0).tolist(), strict=True))
    statistic, p = _friedman(table)
    ordered = {name: means[name] for name in sorted(names, key=lambda name: (means[name], name))}
    return Comparison(ordered, len(blocks), critical_difference(len(names), len(blocks)), statistic, p)


def critical_difference(methods: int, attacks: int, level: float = LEVEL) -> float:
    """Nemenyi's critical difference of mean ranks: q·√(k(k + 1) / 6N), q of the Studentised range over √2."""
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - level, methods, np.inf)) / sqrt(2)
    return q * sqrt(methods * (methods + 1) / (6 * attacks))


def _friedman(table: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Iman and Davenport's F of Friedman's χ² (corrected for ties), and its p; of ranks [attacks, methods]."""
    from scipy.stats import f, friedmanchisquare

    attacks, methods = table.shape
    if methods < 3 or (table == table[:, :1]).all():
        return None, None
    chi = float(friedmanchisquare(*table.T).statistic)
    left = attacks * (methods - 1) - chi
    if not isfinite(chi):
        return None, None
    if left <= 1e-9:  # all attacks agree
        return float("inf"), 0.0
    statistic = (attacks - 1) * chi / left
    return statistic, float(f.sf(statistic, methods - 1, (methods - 1) * (attacks - 1)))

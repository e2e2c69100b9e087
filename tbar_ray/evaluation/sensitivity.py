"""Sensitivity to α: the width of the range in which the backdoor is removed and enough CA is retained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

from tbar_ray.errors import DataError
from tbar_ray.evaluation.selection import Point

Interval = tuple[float, float]


@dataclass(frozen=True)
class Sensitivity:
    """The range of α in which ASR ≤ max_asr and CA ≥ min_retention · reference CA.

    intervals: all such ranges, ascending; a range of a single α has width 0. low, high and width: those of the
    range around the selected α, or, if none is selected, of the widest (the lowest of several); None, None
    and 0 if there is no such range. total_width: sum over all ranges. censored_low and censored_high: the
    range touches the first or last α that was evaluated, so it may extend beyond the grid.
    """

    low: float | None
    high: float | None
    width: float
    total_width: float
    censored_low: bool
    censored_high: bool
    intervals: tuple[Interval, ...]

    @property
    def censored(self) -> bool:
        """Whether `width` is only a lower bound."""
        return self.censored_low or self.censored_high

    def to_dict(self) -> dict[str, Any]:
        """All fields, with intervals as lists, and `censored`."""
        return {
            "low": self.low,
            "high": self.high,
            "width": self.width,
            "total_width": self.total_width,
            "censored": self.censored,
            "censored_low": self.censored_low,
            "censored_high": self.censored_high,
            "intervals": [list(interval) for interval in self.intervals],
        }


def alpha_sensitivity(
    points: Sequence[Point],
    reference_ca: float,
    selected: float | None = None,
    max_asr: float = 0.01,
    min_retention: float = 0.95,
) -> Sensitivity:
    """Measure the range of suitable α on a path of at least one point, each α once, in any order.

    Both rates are interpolated linearly between neighbouring α. The result is exact for piecewise linear
    rates with kinks on the grid, and otherwise limited by the grid's resolution.

    Args:
        points: α with CA and ASR in [0, 1].
        reference_ca: CA of the infected model, as in `selection.select`.
        selected: the α whose range is measured; None for the widest range.
        max_asr: highest ASR at which the backdoor counts as removed.
        min_retention: lowest share of `reference_ca` that counts as retained.

    Raises:
        DataError: if there are no points, an α occurs twice, or a value is not finite.
    """
    path = sorted(points, key=lambda point: point.alpha)
    _check(path)
    # Slack of each condition, ≥ 0 where it holds; the same comparisons as in selection.
    slacks = [(max_asr - point.asr, point.ca - min_retention * reference_ca) for point in path]
    alphas = [point.alpha for point in path]
    intervals = _intervals(alphas, slacks)
    total = sum(high - low for low, high in intervals)
    chosen = _chosen(intervals, selected)
    if chosen is None:
        return Sensitivity(None, None, 0.0, total, False, False, tuple(intervals))
    low, high = chosen
    return Sensitivity(low, high, high - low, total, low == alphas[0], high == alphas[-1], tuple(intervals))


def _check(path: Sequence[Point]) -> None:
    if not path:
        raise DataError("sensitivity of α: the path has no points")
    for point in path:
        if not all(map(isfinite, (point.alpha, point.ca, point.asr))):
            raise DataError(
                f"sensitivity of α: α {point.alpha:g} has CA {point.ca:g} and ASR {point.asr:g}, not finite"
            )
    for one, other in pairwise(path):
        if one.alpha == other.alpha:
            raise DataError(f"sensitivity of α: α {one.alpha:g} occurs twice; give each α once")


def _intervals(alphas: Sequence[float], slacks: Sequence[tuple[float, ...]]) -> list[Interval]:
    """Maximal ranges in which no slack is negative, ascending."""
    pieces: list[Interval] = [(a, a) for a, slack in zip(alphas, slacks, strict=True) if min(slack) >= 0]
    for k in range(len(alphas) - 1):
        start, end = alphas[k], alphas[k + 1]
        bounds = [_where(start, end, *pair) for pair in zip(slacks[k], slacks[k + 1], strict=True)]
        low, high = max(low for low, _ in bounds), min(high for _, high in bounds)
        if low <= high:
            pieces.append((low, high))
    merged: list[Interval] = []
    for low, high in sorted(pieces):
        if merged and low <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def _where(start: float, end: float, at_start: float, at_end: float) -> Interval:
    """Range within [start, end] in which a linear slack is not negative; an empty range is (inf, −inf)."""
    if at_start >= 0 and at_end >= 0:
        return start, end
    if at_start < 0 and at_end < 0:
        return float("inf"), float("-inf")
    crossing = start + (end - start) * (at_start / (at_start - at_end))
    crossing = min(max(crossing, start), end)
    return (start, crossing) if at_start >= 0 else (crossing, end)


def _chosen(intervals: Sequence[Interval], selected: float | None) -> Interval | None:
    if selected is None:
        return max(intervals, key=lambda interval: interval[1] - interval[0], default=None)
    return next((interval for interval in intervals if interval[0] <= selected <= interval[1]), None)

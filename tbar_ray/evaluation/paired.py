"""Paired comparison of two methods on the same images: exact McNemar test, Newcombe interval, Holm correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr

from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate


@dataclass(frozen=True)
class PairedComparison:
    """Outcomes of two methods on the same n images.

    only_first (McNemar's b) and only_second (c) count the images on which they disagree. difference is the
    first's share minus the second's, in [−1, 1], with its 95 % interval. p_value is two-sided, and uncorrected: `holm`
    corrects those of several comparisons that were made together.

    Test and interval use different statistics: near p = 0.05 one may exclude 0 and the other not.
    """

    n: int
    both: int
    only_first: int
    only_second: int
    neither: int
    difference: float
    low: float
    high: float
    p_value: float


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test, in [0, 1]: whether b is half of the b + c discordant images.

    1 if no image is discordant.
    """
    discordant = only_first + only_second
    # the binomial distribution is symmetric at 1/2: twice the smaller tail
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), discordant, 0.5))) if discordant else 1.0


def newcombe_interval(both: int, only_first: int, only_second: int, neither: int) -> tuple[float, float]:
    """95 % interval of the difference of two paired proportions, within [−1, 1].

    Newcombe's square-and-add interval (Statistics in Medicine 17, 1998, 2635–2650, method 10): the Wilson
    intervals of both proportions, combined with the correlation φ of the outcomes; a positive φ is corrected for
    continuity. Its width is positive even if no image is discordant.
    """
    a, b, c, d = both, only_first, only_second, neither
    n = a + b + c + d
    first, second = Rate.of(a + b, n), Rate.of(a + c, n)
    down1, up1 = first.value - first.low, first.high - first.value
    down2, up2 = second.value - second.low, second.high - second.value
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    covariance = float(a * d - b * c)
    if covariance > 0:
        covariance = max(0.0, covariance - n / 2)
    phi = covariance / sqrt(margins) if margins else 0.0
    difference = (b - c) / n
    below = down1**2 - 2 * phi * down1 * up2 + up2**2
    above = up1**2 - 2 * phi * up1 * down2 + down2**2
    # rounding can make a sum of squares negative where φ is 1
    return max(-1.0, difference - sqrt(max(0.0, below))), min(1.0, difference + sqrt(max(0.0, above)))


def compare(first: ArrayLike, second: ArrayLike) -> PairedComparison:
    """Compare two methods by their outcomes [N] on the same images in the same order.

    Outcomes are booleans: correct on a clean image (a difference of CA), or the target predicted for a
    triggered image of another class (a difference of ASR).

    Raises:
        DataError: if there are no images, numbers differ, or outcomes are not booleans.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.dtype != np.bool_ or two.dtype != np.bool_:
        raise DataError(f"paired comparison: outcomes must be true or false, not {one.dtype} and {two.dtype}")
    if one.ndim != 1 or one.shape != two.shape:
        raise DataError(f"paired comparison: outcomes {one.shape} and {two.shape} are not of the same images")
    n = len(one)
    if n == 0:
        raise DataError("paired comparison: no images")
    both, b, c = (int(np.count_nonzero(cell)) for cell in (one & two, one & ~two, ~one & two))
    neither = n - both - b - c
    low, high = newcombe_interval(both, b, c, neither)
    return PairedComparison(n, both, b, c, neither, (b - c) / n, low, high, mcnemar(b, c))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979), keeping their order.

    With adjusted values ≤ 0.05, the probability that any difference in the family is declared wrongly is at most 5 %,
    whatever the dependence between the tests.

    Raises:
        DataError: if a value is not in [0, 1].
    """
    values = np.asarray(p_values, dtype=np.float64)
    if not ((values >= 0) & (values <= 1)).all():
        raise DataError(f"Holm's correction: {list(p_values)} are not all p-values in [0, 1]")
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return [float(value) for value in adjusted]

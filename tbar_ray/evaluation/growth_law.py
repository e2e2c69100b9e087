"""A law of growth: the share that is kept against the samples seen, logistic in their logarithm, with its uncertainty.

    logit k(n) = level + slope · (ln n − centre)

Where little is lost this is a power law of the loss: 1 − k(n) ≈ (h / n)^slope, h being the samples at which half is
kept. Both parameters are fitted by least squares of k.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import leastsq
from scipy.special import expit, logit

from tbar_ray.errors import DataError
from tbar_ray.seeding import numpy_rng

LEAST_SIZES = 4
"""Numbers of samples from which on a law is fitted: two parameters, and two to contradict them."""
RESAMPLES = 400
STEPS = 40
"""Evaluations of a fit at most: where data jump from 0 to 1, ever steeper laws are ever better."""
CONFIDENCE = 0.95
STEEPEST = 20.0
"""Greatest |slope|; data that jump from 0 to 1 have no greatest one."""
FARTHEST = 30.0
"""Greatest |level|."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GrowthLaw:
    """A fitted law.

    Attributes:
        level: logit of the share kept at the centre.
        slope: change of this logit when the samples grow by a factor of e.
        centre: mean ln n of the data.
        spread: root mean square of the residuals, a share.
        resampled: float64 [R, 2], level and slope of the fits to resampled data.
    """

    level: float
    slope: float
    centre: float
    spread: float
    resampled: Floats = field(repr=False)

    def kept(self, samples: ArrayLike) -> Floats:
        """Share kept, in (0, 1), after some numbers of samples."""
        return _kept(np.array([self.level, self.slope]), np.log(np.asarray(samples, dtype=np.float64)) - self.centre)

    def interval(self, samples: ArrayLike) -> tuple[Floats, Floats]:
        """Ends of the 95 % percentile interval of `kept`; NaN where too few resampled data could be fitted."""
        ln = np.log(np.atleast_1d(np.asarray(samples, dtype=np.float64))) - self.centre
        if len(self.resampled) < 2:
            return np.full(len(ln), np.nan), np.full(len(ln), np.nan)
        curves = np.stack([_kept(fit, ln) for fit in self.resampled])
        low, high = np.quantile(curves, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], axis=0)
        return low, high

    def needed(self, kept: float) -> float:
        """Samples after which a share is kept; infinite where the share does not grow with them."""
        return _needed(self.level, self.slope, self.centre, kept)

    def needed_interval(self, kept: float) -> tuple[float, float]:
        """Ends of the 95 % percentile interval of `needed`; an end is infinite where fits say that none suffice."""
        found = np.sort([_needed(level, slope, self.centre, kept) for level, slope in self.resampled])
        if len(found) < 2:
            return 0.0, inf
        # order statistics: infinity must not be averaged
        low = found[int((1 - CONFIDENCE) / 2 * (len(found) - 1))]
        high = found[int(np.ceil((1 + CONFIDENCE) / 2 * (len(found) - 1)))]
        return float(low), float(high)


def fit_growth_law(samples: Sequence[int], kept: Sequence[float], seeds: Sequence[int | str]) -> GrowthLaw:
    """Fit the law to measurements, each with its number of samples, the share kept and its seed.

    Its interval is a bootstrap of seeds and of numbers of samples, both drawn with replacement and crossed (Owen 2007,
    "The pigeonhole bootstrap"): measurements that share a pretraining are not independent. It depends on the data
    alone, and says nothing of whether the law holds beyond them.

    Args:
        samples: one a measurement, at least 1.
        kept: one a measurement; noise may move it out of [0, 1].
        seeds: one a measurement, all numbers or all texts.

    Raises:
        DataError: if there are fewer than `LEAST_SIZES` different numbers of samples, or a value is not finite.
    """
    order = sorted(range(len(samples)), key=lambda i: (samples[i], str(seeds[i]), kept[i]))
    sizes, groups = (np.array([values[i] for i in order]) for values in (samples, seeds))
    shares = np.array([kept[i] for i in order], dtype=np.float64)
    if (found := len(set(samples))) < LEAST_SIZES:
        raise DataError(f"law of growth: {found} numbers of samples; at least {LEAST_SIZES} are needed")
    if not np.isfinite(shares).all():
        raise DataError("law of growth: a share that is kept is not finite")
    ln = np.log(sizes.astype(np.float64))
    centre = float(ln.mean())
    slope, level = np.polyfit(ln - centre, logit(shares.clip(0.02, 0.98)), 1)
    whole = _fit(ln - centre, shares, np.ones(len(ln)), np.array([level, slope]))
    residuals = _kept(whole, ln - centre) - shares
    fits = [
        _fit(ln - centre, shares, weights, whole)
        for weights in _weights(sizes, groups)
        if len(set(sizes[weights > 0])) > 1
    ]
    return GrowthLaw(
        level=float(whole[0]),
        slope=float(whole[1]),
        centre=centre,
        spread=float(np.sqrt(np.mean(residuals**2))),
        resampled=np.array(fits, dtype=np.float64).reshape(-1, 2),
    )


def _kept(parameters: Floats, ln: Floats) -> Floats:
    found: Floats = expit(parameters[0] + parameters[1] * ln)
    return found


def _needed(level: float, slope: float, centre: float, kept: float) -> float:
    if slope <= 0:
        return inf
    exponent = centre + (float(logit(kept)) - level) / slope
    return exp(exponent) if exponent < log(np.finfo(np.float64).max) else inf


def _fit(ln: Floats, shares: Floats, weights: Floats, start: Floats) -> Floats:
    """Level and slope by weighted least squares."""
    used = weights > 0
    ln, shares, roots = ln[used], shares[used], np.sqrt(weights[used])

    def residuals(parameters: Floats) -> Floats:
        return roots * (_kept(parameters, ln) - shares)

    def jacobian(parameters: Floats) -> Floats:
        kept = _kept(parameters, ln)
        slopes = roots * kept * (1 - kept)
        return np.stack([slopes, slopes * ln], axis=1)

    found: Floats = leastsq(residuals, start, Dfun=jacobian, maxfev=STEPS, full_output=True)[0]
    # both alike, so that the samples at which half is kept stay
    return found / max(1.0, float((abs(found) / (FARTHEST, STEEPEST)).max()))


def _weights(sizes: NDArray[Any], seeds: NDArray[Any]) -> list[Floats]:
    """How often each measurement occurs in each resample: times its size is drawn × times its seed is."""
    (kinds, of_size), (draws, of_seed) = (np.unique(x, return_inverse=True) for x in (sizes, seeds))
    generator = numpy_rng(0, "law of growth", len(sizes))
    found = []
    for _ in range(RESAMPLES):
        times = [np.bincount(generator.integers(n, size=n), minlength=n) for n in (len(kinds), len(draws))]
        found.append((times[0][of_size] * times[1][of_seed]).astype(np.float64))
    return found

"""Aggregation over seeds: the mean with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tbar_ray.errors import DataError
from tbar_ray.seeding import numpy_rng

RESAMPLES = 10_000


@dataclass(frozen=True)
class Aggregate:
    """The mean of n values and its 95 % interval; low and high are None for a single value."""

    mean: float
    n: int
    low: float | None
    high: float | None

    def to_dict(self) -> dict[str, float | int | None]:
        """All fields: mean, n, low and high."""
        return asdict(self)


def aggregate(values: Sequence[float], seed: int = 0, confidence: float = 0.95) -> Aggregate:
    """Mean of one value per seed with its percentile bootstrap interval (Efron 1979).

    The interval depends only on the values and `seed`, not on the order of the values. It lies within their
    range, and is None for a single value. With few values it is too narrow, so report n with it: in simulation
    the interval of two normal values covers their true mean in 51 % of cases, of three in 75 %, of five in
    85 % and of ten in 91 %. (BCa, the usual correction, is undefined for equal values.)

    Raises:
        DataError: if there are no values, or one is not finite.
    """
    sample = np.sort(np.asarray(values, dtype=np.float64))
    if sample.ndim != 1 or len(sample) == 0:
        raise DataError("bootstrap: no values to aggregate")
    if not np.isfinite(sample).all():
        raise DataError(f"bootstrap: {list(values)} are not all finite; leave failed seeds out and report it")
    n = len(sample)
    mean = float(sample.mean())
    if n == 1:
        return Aggregate(mean, 1, None, None)
    drawn = numpy_rng(seed, "bootstrap of seeds", n).integers(n, size=(RESAMPLES, n))
    low, high = np.quantile(sample[drawn].mean(1), [(1 - confidence) / 2, (1 + confidence) / 2])
    # for equal values, rounding must not move a bound past the mean
    return Aggregate(mean, n, min(float(low), mean), max(float(high), mean))

"""Rates with confidence intervals."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import sqrt
from statistics import NormalDist


@dataclass(frozen=True)
class Rate:
    """A share of `n` images with its 95 % Wilson score interval; all values in [0, 1]."""

    value: float
    n: int
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, n: int, confidence: float = 0.95) -> Rate:
        """The rate hits/n with its Wilson interval (Wilson 1927); n = 0 gives 0 with the interval [0, 1].

        Raises:
            ValueError: unless 0 ≤ hits ≤ n.
        """
        if not 0 <= hits <= n:
            raise ValueError(f"{hits} hits of {n} images")
        if n == 0:
            return cls(0.0, 0, 0.0, 1.0)
        z = NormalDist().inv_cdf(0.5 + confidence / 2)
        share = hits / n
        centre = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        # at hits 0 and n, rounding must not move a bound past the share
        return cls(share, n, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))

    def to_dict(self) -> dict[str, float | int]:
        """All fields: value, n, low and high."""
        return asdict(self)

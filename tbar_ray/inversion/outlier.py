"""How far the most suspicious class stands out from the others."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

CONSISTENCY = 1.4826
"""Standard deviation over median absolute deviation of a normal distribution."""


@dataclass(frozen=True)
class Outlier:
    """The largest of some values.

    Attributes:
        index: its number.
        value: itself.
        median: of all.
        spread: median absolute deviation of all, never less than the least spread.
    """

    index: int
    value: float
    median: float
    spread: float

    @classmethod
    def of(cls, values: Tensor, least_spread: float) -> Outlier:
        """Find the largest of values [C].

        Args:
            values: more is more suspicious.
            least_spread: below which the deviation is not believed, so that a few classes give no infinite score.
        """
        index, median = int(values.argmax()), values.median()
        spread = (values - median).abs().median().clamp_min(least_spread)
        return cls(index, float(values[index]), float(median), float(spread))

    @property
    def score(self) -> float:
        """By how many median absolute deviations it exceeds the median."""
        return (self.value - self.median) / self.spread

    @property
    def anomaly_index(self) -> float:
        """The same in standard deviations of a normal distribution; Neural Cleanse calls a model infected above 2."""
        return self.score / CONSISTENCY

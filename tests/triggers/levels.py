"""Comparing a stamped uint8 image with the definition worked out in float64."""

import numpy as np
from numpy.typing import NDArray


def assert_levels(stamped: NDArray[np.uint8], exact: NDArray[np.float64], slack: float = 1e-4) -> float:
    """Check every level against `exact` (0..255, clipped or not), rounded to the nearest.

    Within `slack` of a tie float32 may round either way. Returns the share of such pixels.
    """
    exact = np.clip(exact, 0, 255)
    near_tie = np.abs(exact % 1 - 0.5) <= slack
    assert stamped.shape == exact.shape
    assert np.array_equal(stamped[~near_tie], np.rint(exact)[~near_tie])
    assert np.abs(stamped - exact).max() <= 0.5 + slack
    return float(near_tie.mean())


def random_levels(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """Return uint8 noise [count, 3, height, width]."""
    return np.random.default_rng(5).integers(0, 256, (count, 3, height, width), dtype=np.uint8)

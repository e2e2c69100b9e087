"""The order of samples: a function of (seed, epoch) and of the positions, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tbar_ray.seeding import numpy_rng


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of batches of an epoch; the last may be smaller."""
    return -(-samples // batch_size)


def batches_of(positions: NDArray[np.int64], batch_size: int, seed: int, epochs: int) -> Iterator[NDArray[np.int64]]:
    """Yield the positions of every batch; each sample comes exactly once per epoch."""
    for epoch in range(epochs):
        order = positions[numpy_rng(seed, "sample order", epoch).permutation(len(positions))]
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]

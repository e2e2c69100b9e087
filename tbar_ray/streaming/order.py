"""The order of samples: a function of (seed, epoch) and of the positions, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbar_ray.seeding import numpy_rng


@dataclass(frozen=True, order=True)
class Position:
    """A place in a stream: the epoch, and how many of its samples were already asked for.

    A stream that starts here gives the batches that the first one would have given next, whatever its readers.
    """

    epoch: int = 0
    sample: int = 0


BEGINNING = Position()


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of batches of an epoch; the last may be smaller."""
    return -(-samples // batch_size)


def batches_of(
    positions: NDArray[np.int64], batch_size: int, seed: int, epochs: int, start: Position = BEGINNING
) -> Iterator[tuple[NDArray[np.int64], Position]]:
    """Yield the corpus positions of every batch, and where the stream is after it; each sample once per epoch."""
    for epoch in range(start.epoch, epochs):
        order = positions[numpy_rng(seed, "sample order", epoch).permutation(len(positions))]
        first = start.sample if epoch == start.epoch else 0
        for begin in range(first, len(order), batch_size):
            end = min(begin + batch_size, len(order))
            yield order[begin:end], Position(epoch, end) if end < len(order) else Position(epoch + 1)

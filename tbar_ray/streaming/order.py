"""Sample order: a function of (seed, epoch) and the positions only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tbar_ray.seeding import numpy_rng


@dataclass(frozen=True, order=True)
class Position:
    """A point in a stream: the epoch, and the number of its samples already requested.

    A stream that starts here continues with the same batches, whatever its number of readers.
    """

    epoch: int = 0
    sample: int = 0


BEGINNING = Position()


@dataclass(frozen=True)
class Order:
    """Order in which samples are streamed.

    Attributes:
        positions: int64 [N], distinct corpus positions.
        seed: seed of the shuffles.
        weights: float [N], number of occurrences per epoch; None means 1. After e epochs a sample of weight w
            has occurred e·w times, rounded up or down, and epoch lengths differ by at most one per corpus.
        buffer: size of the shuffle window: shards are shuffled, and each sample moves by at most this many positions.
            None shuffles the whole corpus. With a buffer, shards are read one after another, as suits disks and a shard
            cache smaller than the corpus.
        shards: int [N], shard of every sample, ascending; only with a buffer.
    """

    positions: NDArray[np.int64]
    seed: int
    weights: NDArray[np.float64] | None = None
    buffer: int | None = None
    shards: NDArray[np.int32] | None = None

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Corpus positions of an epoch, int64, in streaming order."""
        rows = np.arange(len(self.positions)) if self.weights is None else self._drawn(epoch)
        draw = numpy_rng(self.seed, "sample order", epoch)
        if self.buffer is None or self.shards is None:
            return self.positions[rows[draw.permutation(len(rows))]]
        shards = self.shards[rows]
        place_of_shard = np.empty(int(self.shards.max(initial=0)) + 1)
        place_of_shard[:] = draw.permutation(len(place_of_shard))
        by_shard = rows[np.argsort(place_of_shard[shards], kind="stable")]
        moved = np.arange(len(rows)) + self.buffer * draw.random(len(rows))
        return self.positions[by_shard[np.argsort(moved, kind="stable")]]

    def length(self, epoch: int) -> int:
        """Number of samples in an epoch."""
        return len(self.positions) if self.weights is None else len(self._drawn(epoch))

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """Rows of an epoch: a sample's count is how often epoch·w, from its phase, crosses an integer in it."""
        assert self.weights is not None
        phase = np.empty(len(self.positions))
        for weight in np.unique(self.weights):  # evenly spread phases balance the epochs
            group = np.flatnonzero(self.weights == weight)
            ranks = numpy_rng(self.seed, "weighted samples", float(weight).hex()).permutation(len(group))
            phase[group] = (ranks + 0.5) / len(group)
        counts = np.floor((epoch + 1) * self.weights + phase) - np.floor(epoch * self.weights + phase)
        return np.repeat(np.arange(len(self.positions)), counts.astype(np.int64))


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Number of batches per epoch; the last batch may be smaller."""
    return -(-samples // batch_size)


def steps(order: Order, batch_size: int, epochs: int, start: Position = BEGINNING) -> int:
    """Number of batches from `start` to the end of the last epoch."""
    lengths = [order.length(epoch) for epoch in range(start.epoch, epochs)]
    if lengths:
        lengths[0] -= start.sample
    return sum(steps_per_epoch(length, batch_size) for length in lengths)


def batches_of(
    order: Order, batch_size: int, epochs: int, start: Position = BEGINNING
) -> Iterator[tuple[NDArray[np.int64], Position]]:
    """Yield the corpus positions of every batch, and the stream position after it."""
    for epoch in range(start.epoch, epochs):
        positions = order.epoch(epoch)
        first = start.sample if epoch == start.epoch else 0
        for begin in range(first, len(positions), batch_size):
            end = min(begin + batch_size, len(positions))
            yield positions[begin:end], Position(epoch, end) if end < len(positions) else Position(epoch + 1)

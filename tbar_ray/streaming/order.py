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


@dataclass(frozen=True)
class Order:
    """In which order samples are streamed.

    Attributes:
        positions: int64 [N], corpus positions, each once.
        seed: of the shuffles.
        weights: float [N], how often each sample appears in an epoch; None: once. After e epochs a sample of weight w
            has appeared e·w times, rounded up or down, and the epochs differ in length by one at most per corpus.
        buffer: samples of neighbouring shards that are mixed: shards are shuffled, and a sample is moved by no more
            than so many places. None: the whole corpus is mixed. A buffer reads shard after shard, as disks and
            a cache of shards that is smaller than the corpus need it.
        shards: int [N], the shard of every sample, ascending; only with a buffer.
    """

    positions: NDArray[np.int64]
    seed: int
    weights: NDArray[np.float64] | None = None
    buffer: int | None = None
    shards: NDArray[np.int32] | None = None

    def epoch(self, epoch: int) -> NDArray[np.int64]:
        """Return an epoch's positions in their order."""
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
        """Return the number of samples of an epoch."""
        return len(self.positions) if self.weights is None else len(self._drawn(epoch))

    def _drawn(self, epoch: int) -> NDArray[np.int64]:
        """Return the rows of an epoch: a sample's count is how often epoch·w passes a whole number, from its phase."""
        assert self.weights is not None
        phase = np.empty(len(self.positions))
        for weight in np.unique(self.weights):  # phases of one corpus are evenly spread, so that its epochs are alike
            group = np.flatnonzero(self.weights == weight)
            ranks = numpy_rng(self.seed, "weighted samples", float(weight).hex()).permutation(len(group))
            phase[group] = (ranks + 0.5) / len(group)
        counts = np.floor((epoch + 1) * self.weights + phase) - np.floor(epoch * self.weights + phase)
        return np.repeat(np.arange(len(self.positions)), counts.astype(np.int64))


def steps_per_epoch(samples: int, batch_size: int) -> int:
    """Return the number of batches of an epoch; the last may be smaller."""
    return -(-samples // batch_size)


def steps(order: Order, batch_size: int, epochs: int, start: Position = BEGINNING) -> int:
    """Return the number of batches from the start to the end of the last epoch."""
    lengths = [order.length(epoch) for epoch in range(start.epoch, epochs)]
    if lengths:
        lengths[0] -= start.sample
    return sum(steps_per_epoch(length, batch_size) for length in lengths)


def batches_of(
    order: Order, batch_size: int, epochs: int, start: Position = BEGINNING
) -> Iterator[tuple[NDArray[np.int64], Position]]:
    """Yield the corpus positions of every batch, and where the stream is after it."""
    for epoch in range(start.epoch, epochs):
        positions = order.epoch(epoch)
        first = start.sample if epoch == start.epoch else 0
        for begin in range(first, len(positions), batch_size):
            end = min(begin + batch_size, len(positions))
            yield positions[begin:end], Position(epoch, end) if end < len(positions) else Position(epoch + 1)

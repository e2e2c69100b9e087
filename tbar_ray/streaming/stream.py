"""Streaming shards into a training: Ray reader actors, a bounded number of batches in flight, a fixed order."""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal, NamedTuple

import numpy as np
import ray
import torch
from numpy.typing import NDArray
from torch import Tensor

from tbar_ray.data.corpus import Corpus
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.streaming.here import here
from tbar_ray.streaming.options import ReaderOptions
from tbar_ray.streaming.order import BEGINNING, Order, Position, batches_of, steps
from tbar_ray.streaming.reader import BatchReader, EncodedBatch, Skipped
from tbar_ray.streaming.slots import IN_FLIGHT_PER_READER, Slots, slots_for
from tbar_ray.training.batch import Batch
from tbar_ray.training.workers import ALONE, Workers

Policy = Literal["error", "warn"]


class ShardStream:
    """Batches of a corpus for a number of epochs, read by actors; leaving the context stops the actors.

    Reader r serves batches r, r + R, r + 2R, …, and the consumer takes them in order: content and order
    depend on (corpus, order, batch size, poison) and never on the number of readers. At most
    `IN_FLIGHT_PER_READER` batches per reader exist at once, so memory stays bounded even if the consumer is slow.
    Images are never copied: readers decode into memory that the consumer maps (`Slots`). Images of a reader on another
    machine, or beyond the slots, come through the object store. Ray restarts a reader that dies and repeats its
    requests.

    Of several workers each has a stream, which yields its share of every batch: all shares of a batch are what one
    worker would be given. Their streams are read in step, and tell each other what could not be read, so that all of
    them end with the same error.

    Attributes:
        skipped: samples that could not be read, without duplicates, in stream order; a resumed stream starts with those
            of the stream it continues.
        position: the stream position after the last batch taken; a stream with this `start` continues there.
    """

    def __init__(
        self,
        corpus: Corpus,
        order: Order,
        options: ReaderOptions,
        *,
        batch_size: int,
        epochs: int,
        readers: int = 2,
        policy: Policy = "warn",
        start: Position = BEGINNING,
        skipped: Iterable[Skipped] = (),
        workers: Workers = ALONE,
    ) -> None:
        self._corpus = corpus
        self._order = order
        self._options = options
        self._batch_size = batch_size
        self._epochs = epochs
        self._policy = policy
        self._start = start
        self.position = start
        self._workers = workers
        self._reader_count = max(1, readers)
        self._actors: list[Any] = []
        self._arguments: list[Any] = []
        self._slots: Slots | None = None
        tokenizer = build_tokenizer(options.architecture)
        # captions repeat (templates), and a row of tokens is small
        self._tokens = lru_cache(maxsize=100_000)(lambda caption: tokenizer([caption])[0].to(torch.int32))
        self._skipped = {sample.key: sample for sample in skipped}

    @property
    def total_steps(self) -> int:
        """Number of batches from `start` to the end of the last epoch."""
        return steps(self._order, self._batch_size, self._epochs, self._start)

    @property
    def skipped(self) -> list[Skipped]:
        """Samples that could not be read so far, in stream order."""
        return list(self._skipped.values())

    def __enter__(self) -> ShardStream:
        # readers share the cores of their training task, on its node
        actor = ray.remote(BatchReader).options(**here(), max_restarts=3, max_task_retries=3)
        # references are kept for readers that restart
        self._arguments = [ray.put(self._corpus), ray.put(self._options.reading)]
        self._actors = [actor.remote(*self._arguments) for _ in range(self._reader_count)]
        rows = -(-self._batch_size // self._workers.size)
        self._slots = Slots(slots_for(self._reader_count), rows * 3 * self._options.size**2)
        return self

    def ready(self) -> None:
        """Wait until every reader has started."""
        ray.get([actor.read.remote([]) for actor in self._actors])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for actor in self._actors:
            ray.kill(actor)
        self._actors, self._arguments = [], []
        if self._slots is not None:
            self._slots.close()

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches in order.

        Raises:
            ShardChangedError: under both policies, if a shard changes while it is read.
            DataError: under policy "error" at the first unreadable sample, and under both policies if no sample is
                readable.
        """
        waiting: deque[_Asked] = deque()
        self.position = self._start
        wanted = enumerate(batches_of(self._order, self._batch_size, self._epochs, self._start))
        for number, (positions, after) in wanted:
            share = self._workers.share(positions)
            waiting.append(self._ask(self._actors[number % self._reader_count], share, after))
            if len(waiting) >= IN_FLIGHT_PER_READER * self._reader_count:
                yield from self._take(waiting)
        while waiting:
            yield from self._take(waiting)
        samples = len(self._order.positions)
        if len(self._skipped) >= samples:
            raise DataError(f"none of the {samples} samples can be read: {self.skipped[0].reason}")

    def _ask(self, actor: Any, positions: NDArray[np.int64], after: Position) -> _Asked:
        slots = self._slots
        assert slots is not None, "a stream is read inside its context"
        slot = slots.take() if len(positions) else None
        # if the consumer holds all slots, images come through the object store
        answer = actor.read.remote(positions) if slot is None else actor.read.remote(positions, slots.place, slot)
        return _Asked(answer, slot, after)

    def _take(self, waiting: deque[_Asked]) -> Iterator[Batch]:
        asked = waiting.popleft()
        encoded: EncodedBatch = ray.get(asked.answer)
        shares, news = self._workers.exchange(len(encoded.keys), _news_of(encoded))
        told = [json.loads(text) for text in news]
        for changed, _ in told:
            if changed is not None:
                raise ShardChangedError(changed)
        self.position = asked.after
        pixels = self._pixels(encoded, asked.slot)
        for sample in (Skipped(*sample) for _, skipped in told for sample in skipped):
            if self._policy == "error":
                raise DataError(f"sample {sample.key}: {sample.reason} (set data.on_error: warn to skip such samples)")
            self._skipped.setdefault(sample.key, sample)
        if sum(shares):
            # no copy: a view of the memory written by the reader, in its channels-last order
            with warnings.catch_warnings(action="ignore", category=UserWarning):  # object-store memory is read-only
                images = torch.from_numpy(pixels).permute(0, 3, 1, 2)
            tokens = None if self._options.labels else self._tokenised(encoded.texts)
            labels = torch.tensor(encoded.texts, dtype=torch.int64) if self._options.labels else None
            poisoned = torch.from_numpy(encoded.poisoned.copy())
            after = (asked.after.epoch, asked.after.sample)
            del pixels  # frees the slot as soon as the consumer drops the batch
            yield self._workers.divided(Batch(images, tokens, labels, poisoned, encoded.keys, after), shares)

    def _tokenised(self, texts: Sequence[str | int]) -> Tensor:
        """Tokens of captions, int32 [B, context length]; a worker may have none."""
        return torch.stack([self._tokens(text) for text in texts or ("",)])[: len(texts)]

    def _pixels(self, encoded: EncodedBatch, slot: int | None) -> NDArray[np.uint8]:
        """Images of a batch, uint8 [B, size, size, 3], from its message or its slot."""
        if encoded.images is not None or slot is None:
            if slot is not None and self._slots is not None:
                self._slots.release(slot)
            assert encoded.images is not None, "a reader without a slot sends its images"
            return encoded.images
        assert self._slots is not None
        size = self._options.size
        return self._slots.array(slot, (len(encoded.keys), size, size, 3))


def _news_of(encoded: EncodedBatch) -> str:
    """What all workers must know of a batch, as JSON: which shard has changed, and what is skipped; '' if nothing."""
    skipped = [(sample.key, sample.reason) for sample in encoded.skipped]
    return json.dumps([encoded.changed, skipped]) if skipped or encoded.changed is not None else ""


class _Asked(NamedTuple):
    """A requested batch: the pending answer, the slot for its images, and the stream position after it."""

    answer: Any
    slot: int | None
    after: Position

"""Corpus positions to training batches: read, decode, resize. Torch is not needed and not imported.

Every reader actor runs a `BatchReader`. It has no state that affects the content of a batch, so any reader gives the
same batch for the same positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation, load_pixels
from tbar_ray.data.members import IMAGE_EXTENSIONS, parse_caption
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.streaming.slots import Place, piece

Sample = Callable[[], tuple[bytes, str | int]]
"""Returns an image's bytes and its caption or label; raises DataError or OSError if the sample cannot be read."""


@dataclass(frozen=True)
class Reading:
    """Options of a reader.

    Attributes:
        size: side of the images in pixels.
        interpolation: filter of the resize.
        replaced: new caption or label by poisoned key ('' keeps the caption).
        labels: whether batches carry class labels (a labelled set) instead of captions (pairs).
    """

    size: int
    interpolation: Interpolation
    replaced: Mapping[str, str | int] = field(default_factory=dict)
    labels: bool = False


@dataclass(frozen=True)
class Skipped:
    """A sample that could not be read, and the reason."""

    key: str
    reason: str


@dataclass(frozen=True)
class EncodedBatch:
    """One batch as sent by a reader.

    Attributes:
        images: uint8 [B, size, size, 3]; None if they were written to the given slot.
        texts: B captions, or B class labels.
        poisoned: bool [B], the samples that an attacker changes; their images are not stamped yet.
        keys: B sample keys.
        skipped: requested samples that could not be read.
        changed: why no batch can be read any more: a shard is not what it was; None while all are.
    """

    images: NDArray[np.uint8] | None
    texts: tuple[str | int, ...]
    poisoned: NDArray[np.bool_]
    keys: tuple[str, ...]
    skipped: tuple[Skipped, ...] = field(default=())
    changed: str | None = None


class BatchReader:
    """Reads batches of a corpus by position."""

    def __init__(self, corpus: Corpus, reading: Reading) -> None:
        self._corpus = corpus
        self._reading = reading

    def read(self, positions: Sequence[int], place: Place | None = None, slot: int = 0) -> EncodedBatch:
        """Read the batch at these corpus positions, in order, without unreadable samples.

        With a place on this machine, the images are written into its slot instead of being returned. A sample that
        cannot be read since its shard has changed is not a broken sample: then there is no batch.
        """
        try:
            return self._read(positions, place, slot)
        except ShardChangedError as error:
            return EncodedBatch(None, (), np.zeros(0, bool), (), changed=str(error))

    def _read(self, positions: Sequence[int], place: Place | None, slot: int) -> EncodedBatch:
        reading = self._reading
        shape = (len(positions), reading.size, reading.size, 3)
        shared = None if place is None else piece(place, slot, shape)
        pixels = np.empty(shape, np.uint8) if shared is None else shared
        texts: list[str | int] = []
        keys: list[str] = []
        skipped: list[Skipped] = []
        for position, (key, sample) in zip(positions, self._samples(np.asarray(positions, np.int64)), strict=True):
            try:
                data, text = sample()
                load_pixels(data, reading.size, reading.interpolation, reduced=True, out=pixels[len(keys)])
            except (DataError, OSError) as error:
                self._corpus.check_unchanged(int(position))
                skipped.append(Skipped(key, str(error)))
                continue
            texts.append(text)
            keys.append(key)
        poisoned = np.array([key in reading.replaced for key in keys], bool)
        images = pixels[: len(keys)] if shared is None else None
        return EncodedBatch(images, tuple(texts), poisoned, tuple(keys), tuple(skipped))

    def _samples(self, positions: NDArray[np.int64]) -> Iterator[tuple[str, Sample]]:
        """Yield the key of every position and a function that reads its image bytes and text."""
        keys = [self._corpus.keys[position] for position in positions.tolist()]
        one_by_one = (partial(self._sample, position, key) for position, key in zip(positions, keys, strict=True))
        if self._reading.labels:
            yield from zip(keys, one_by_one, strict=True)
            return
        try:
            images = self._corpus.files(positions, IMAGE_EXTENSIONS)
            texts = self._corpus.files(positions, ("txt",))
        except (DataError, OSError):  # reading one by one identifies the faulty sample
            yield from zip(keys, one_by_one, strict=True)
            return
        for key, single, image, text in zip(keys, one_by_one, images, texts, strict=True):
            caption = None if text is None or key in self._reading.replaced else parse_caption(text, None)
            if image is None or caption is None:
                yield key, single
            else:
                yield key, partial(_known, image, caption)

    def _sample(self, position: int, key: str) -> tuple[bytes, str | int]:
        replaced = self._reading.replaced.get(key)
        if self._reading.labels:
            label = self._corpus.class_index(position) if replaced is None else replaced
            if label is None:
                raise DataError("no class label")
            return self._corpus.image_bytes(position), label
        caption = replaced or self._corpus.caption(position)
        if not caption:
            raise DataError("no caption")
        return self._corpus.image_bytes(position), caption


def _known(image: bytes, text: str) -> tuple[bytes, str]:
    return image, text

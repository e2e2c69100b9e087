"""Turning corpus positions into training batches: read, decode, resize, tokenise.

`BatchReader` is what every reader actor runs; it holds no state that changes what a batch contains, so
that any reader gives the same batch for the same positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation, load_pixels
from tbar_ray.data.members import IMAGE_EXTENSIONS, parse_caption
from tbar_ray.errors import DataError
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.streaming.slots import Place, piece
from tbar_ray.triggers.base import Trigger

Sample = Callable[[], tuple[bytes, NDArray[np.int32] | NDArray[np.int64]]]
"""Returns an image's bytes and its tokens or label, or raises what is wrong with the sample."""


@dataclass(frozen=True)
class Poison:
    """What one attack changes: the readers captions and labels, the training's device images (`Stamping`).

    Attributes:
        trigger: what is stamped.
        captions: the caption of every poisoned key.
        cover: keys whose images get the trigger's cover change and keep caption and label.
        label: class index of poisoned samples, where the stream carries labels.
    """

    trigger: Trigger
    captions: Mapping[str, str]
    cover: frozenset[str] = frozenset()
    label: int | None = None


@dataclass(frozen=True)
class ReaderOptions:
    """How samples are prepared.

    Attributes:
        architecture: names the tokenizer.
        size: side of the images in pixels.
        interpolation: filter of the resize.
        poisons: the attacks; no key is in two of them.
        labels: whether batches carry class labels (a labelled set) instead of captions (pairs).
    """

    architecture: str
    size: int
    interpolation: Interpolation
    poisons: tuple[Poison, ...] = ()
    labels: bool = False


@dataclass(frozen=True)
class Skipped:
    """A sample that could not be read, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class EncodedBatch:
    """One batch as it travels from a reader.

    Attributes:
        images: uint8 [B, size, size, 3]; None if they lie in the slot that the reader was given.
        texts: int32 [B, context length], the tokens; or int64 [B], the labels.
        poisoned: bool [B], the samples that an attacker changes; their images are not stamped yet.
        keys: B sample keys.
        skipped: the samples asked for that are not among the B.
    """

    images: NDArray[np.uint8] | None
    texts: NDArray[np.int32] | NDArray[np.int64]
    poisoned: NDArray[np.bool_]
    keys: tuple[str, ...]
    skipped: tuple[Skipped, ...] = field(default=())


class BatchReader:
    """Reads batches of a corpus by position."""

    def __init__(self, corpus: Corpus, options: ReaderOptions) -> None:
        torch.set_num_threads(1)  # readers run beside the training; one each is what they are given
        self._corpus = corpus
        self._options = options
        self._poison_of = {key: poison for poison in options.poisons for key in poison.captions}
        tokenizer = build_tokenizer(options.architecture)
        # corpora repeat captions (templates); a row of tokens is small
        self._tokens = lru_cache(maxsize=100_000)(lambda caption: tokenizer([caption])[0].to(torch.int32).numpy())

    def read(self, positions: Sequence[int], place: Place | None = None, slot: int = 0) -> EncodedBatch:
        """Return the batch of these corpus positions, in their order, without those that cannot be read.

        Given a place, the images are written into that slot of it instead, if it is on this machine.
        """
        options = self._options
        shape = (len(positions), options.size, options.size, 3)
        shared = None if place is None else piece(place, slot, shape)
        pixels = np.empty(shape, np.uint8) if shared is None else shared
        texts: list[NDArray[np.int32] | NDArray[np.int64]] = []
        keys: list[str] = []
        skipped: list[Skipped] = []
        for key, sample in self._samples(np.asarray(positions, np.int64)):
            try:
                data, text = sample()
                load_pixels(data, options.size, options.interpolation, reduced=True, out=pixels[len(keys)])
            except (DataError, OSError) as error:
                skipped.append(Skipped(key, str(error)))
                continue
            texts.append(text)
            keys.append(key)
        rows: NDArray[Any] = np.stack(texts) if texts else np.empty((0, 0), np.int32)
        poisoned = np.array([key in self._poison_of for key in keys], bool)
        images = pixels[: len(keys)] if shared is None else None
        return EncodedBatch(images, rows, poisoned, tuple(keys), tuple(skipped))

    def _samples(self, positions: NDArray[np.int64]) -> Iterator[tuple[str, Sample]]:
        """Yield every position's key, and what reads its image's bytes and its text."""
        keys = [self._corpus.keys[position] for position in positions.tolist()]
        one_by_one = (partial(self._sample, position, key) for position, key in zip(positions, keys, strict=True))
        if self._options.labels:
            yield from zip(keys, one_by_one, strict=True)
            return
        try:
            images = self._corpus.files(positions, IMAGE_EXTENSIONS)
            texts = self._corpus.files(positions, ("txt",))
        except (DataError, OSError):  # which sample it is shows one by one
            yield from zip(keys, one_by_one, strict=True)
            return
        for key, single, image, text in zip(keys, one_by_one, images, texts, strict=True):
            caption = None if text is None or key in self._poison_of else parse_caption(text, None)
            if image is None or caption is None:
                yield key, single
            else:
                yield key, partial(self._known, image, caption)

    def _known(self, image: bytes, caption: str) -> tuple[bytes, NDArray[np.int32]]:
        return image, self._tokens(caption)

    def _sample(self, position: int, key: str) -> tuple[bytes, NDArray[np.int32] | NDArray[np.int64]]:
        poison = self._poison_of.get(key)
        text: NDArray[np.int32] | NDArray[np.int64]
        if self._options.labels:
            label = poison.label if poison else self._corpus.class_index(position)
            if label is None:
                raise DataError("no class label")
            text = np.array(label, np.int64)
        else:
            caption = (poison.captions[key] if poison else "") or self._corpus.caption(position)
            if not caption:
                raise DataError("no caption")
            text = self._tokens(caption)
        return self._corpus.image_bytes(position), text

"""Turning corpus positions into training batches: read, decode, resize, stamp, tokenise.

`BatchReader` is what every reader actor runs; it holds no state that changes what a batch contains, so
that any reader gives the same batch for the same positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation, load_pixels
from tbar_ray.errors import DataError
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.triggers.base import Trigger, cover_uint8, stamp_uint8


@dataclass(frozen=True)
class Poison:
    """What the readers change for one attack.

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
    """One batch as it travels through the object store.

    Attributes:
        images: uint8 [B, 3, size, size].
        texts: int32 [B, context length], the tokens; or int64 [B], the labels.
        poisoned: bool [B], the samples that an attacker stamped.
        keys: B sample keys.
        skipped: the samples asked for that are not among the B.
    """

    images: NDArray[np.uint8]
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

    def read(self, positions: Sequence[int]) -> EncodedBatch:
        """Return the batch of these corpus positions, in their order, without those that cannot be read."""
        size = self._options.size
        images = np.empty((len(positions), 3, size, size), np.uint8)
        texts: list[NDArray[np.int32] | NDArray[np.int64]] = []
        keys: list[str] = []
        skipped: list[Skipped] = []
        for position in positions:
            key = self._corpus.keys[int(position)]
            try:
                pixels, text = self._sample(int(position), key)
            except (DataError, OSError) as error:
                skipped.append(Skipped(key, str(error)))
                continue
            images[len(keys)] = pixels.transpose(2, 0, 1)  # the one copy between decoder and object store
            texts.append(text)
            keys.append(key)
        images = images[: len(keys)]
        self._stamp(images, keys)
        rows: NDArray[Any] = np.stack(texts) if texts else np.empty((0, 0), np.int32)
        poisoned = np.array([key in self._poison_of for key in keys], bool)
        return EncodedBatch(images, rows, poisoned, tuple(keys), tuple(skipped))

    def _sample(self, position: int, key: str) -> tuple[NDArray[np.uint8], NDArray[np.int32] | NDArray[np.int64]]:
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
        data = self._corpus.image_bytes(position)
        return load_pixels(data, self._options.size, self._options.interpolation, reduced=True), text

    def _stamp(self, images: NDArray[np.uint8], keys: Sequence[str]) -> None:
        """Stamp the poisoned images of a batch, and change its cover images, in place."""
        for poison in self._options.poisons:
            for changed, change in ((poison.captions, stamp_uint8), (poison.cover, cover_uint8)):
                rows = [row for row, key in enumerate(keys) if key in changed]
                if rows:
                    stamped = change(poison.trigger, torch.from_numpy(images[rows]), [keys[r] for r in rows])
                    images[rows] = stamped.numpy()

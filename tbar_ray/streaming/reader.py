"""Turning corpus positions into training batches: read, decode, resize, stamp, tokenise.

`BatchReader` is what every reader actor runs; it holds no state that changes what a batch contains, so
that any reader gives the same batch for the same positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation, load_image
from tbar_ray.errors import DataError
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.registry import build_trigger


@dataclass(frozen=True)
class Poison:
    """What the readers change: the trigger to build, and the new caption of every poisoned key."""

    trigger: str
    parameters: Mapping[str, object]
    seed: int
    captions: Mapping[str, str]


@dataclass(frozen=True)
class ReaderOptions:
    """How samples are prepared: the architecture names the tokenizer; `size` is the image side in pixels."""

    architecture: str
    size: int
    interpolation: Interpolation
    poison: Poison | None = None


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
        tokens: int32 [B, context length].
        keys: B sample keys.
        skipped: the samples asked for that are not among the B.
    """

    images: NDArray[np.uint8]
    tokens: NDArray[np.int32]
    keys: tuple[str, ...]
    skipped: tuple[Skipped, ...] = field(default=())


class BatchReader:
    """Reads batches of a corpus by position."""

    def __init__(self, corpus: Corpus, options: ReaderOptions) -> None:
        torch.set_num_threads(1)  # readers run beside the training; one each is what they are given
        self._corpus = corpus
        self._options = options
        poison = options.poison
        self._trigger = build_trigger(poison.trigger, poison.parameters, poison.seed) if poison else None
        self._captions: Mapping[str, str] = poison.captions if poison else {}
        tokenizer = build_tokenizer(options.architecture)
        # corpora repeat captions (templates); a row of tokens is small
        self._tokens = lru_cache(maxsize=100_000)(lambda caption: tokenizer([caption])[0].to(torch.int32).numpy())

    def read(self, positions: Sequence[int]) -> EncodedBatch:
        """Return the batch of these corpus positions, in their order, without those that cannot be read."""
        images: list[NDArray[np.uint8]] = []
        tokens: list[NDArray[np.int32]] = []
        keys: list[str] = []
        skipped: list[Skipped] = []
        for position in positions:
            key = self._corpus.keys[int(position)]
            try:
                image, caption = self._sample(int(position), key)
            except (DataError, OSError) as error:
                skipped.append(Skipped(key, str(error)))
                continue
            images.append(image)
            tokens.append(self._tokens(caption))
            keys.append(key)
        size = self._options.size
        stacked = np.stack(images) if images else np.empty((0, 3, size, size), np.uint8)
        self._stamp(stacked, keys)
        rows = np.stack(tokens) if tokens else np.empty((0, 0), np.int32)
        return EncodedBatch(stacked, rows, tuple(keys), tuple(skipped))

    def _sample(self, position: int, key: str) -> tuple[NDArray[np.uint8], str]:
        caption = self._captions.get(key) or self._corpus.caption(position)
        if not caption:
            raise DataError("no caption")
        data = self._corpus.image_bytes(position)
        return load_image(data, self._options.size, self._options.interpolation), caption

    def _stamp(self, images: NDArray[np.uint8], keys: Sequence[str]) -> None:
        """Stamp the poisoned images of a batch in place."""
        if self._trigger is None:
            return
        rows = [row for row, key in enumerate(keys) if key in self._captions]
        if rows:
            poisoned = stamp_uint8(self._trigger, torch.from_numpy(images[rows]), [keys[r] for r in rows])
            images[rows] = poisoned.numpy()

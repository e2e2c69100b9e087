"""Retrieval sets in CLIP_benchmark's WebDataset layout: images and their captions, one per line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.benchmark_layout import Loaded, Policy, Positions, load_images, open_split
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation
from tbar_ray.data.text import lines_of
from tbar_ray.errors import DataError


@dataclass(frozen=True)
class RetrievalSet:
    """Images with their matching captions.

    Attributes:
        corpus: the images.
        captions: at least one caption for every image.
        policy: what an image does that cannot be decoded.
    """

    corpus: Corpus
    captions: tuple[tuple[str, ...], ...]
    policy: Policy = "warn"

    @classmethod
    def open(cls, url: str, *, cache: Path | None = None, policy: Policy = "warn") -> RetrievalSet:
        """Open `url` (test/nshards.txt, test/N.tar with KEY.jpg and KEY.txt).

        Raises:
            DataError: if a part is missing, there is no image, or an image has no caption.
        """
        corpus = open_split(url, "test", cache=cache, policy=policy)
        captions = tuple(tuple(lines_of(corpus.caption(position) or "")) for position in range(len(corpus)))
        silent = [corpus.name(position) for position, lines in enumerate(captions) if not lines]
        if silent:
            raise DataError(
                f"{url}: {len(silent)} of {len(corpus)} images have no caption ({silent[0]!r} first); a retrieval "
                f"set needs a KEY.txt with one caption per line for every image"
            )
        return cls(corpus, captions, policy)

    @property
    def keys(self) -> Sequence[str]:
        """Keys, one per image, on which draws depend."""
        return self.corpus.keys

    def __len__(self) -> int:
        return len(self.captions)

    def images(self, positions: Positions, size: int, interpolation: Interpolation) -> NDArray[np.uint8]:
        """Decode images to uint8 [n, 3, size, size].

        Raises:
            DataError: if one cannot be decoded; it names shard and key.
        """
        return load_images(self.corpus, positions, size, interpolation).images

    def load(self, size: int, interpolation: Interpolation) -> Loaded:
        """Decode all images; under the policy "warn", those that cannot be decoded are left out and named.

        What the shards lost is named with them.

        Raises:
            DataError: as `load_images`.
        """
        loaded = load_images(self.corpus, range(len(self)), size, interpolation, self.policy)
        return loaded._replace(lost=(*map(str, self.corpus.problems), *loaded.lost))

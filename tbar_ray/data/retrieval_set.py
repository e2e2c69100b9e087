"""Retrieval sets in CLIP_benchmark's WebDataset layout: images with their captions, one a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.evaluation_set import Positions, read_lines
from tbar_ray.data.images import Interpolation, load_image
from tbar_ray.errors import DataError


@dataclass(frozen=True)
class RetrievalSet:
    """Images and the captions that belong to each.

    Attributes:
        corpus: the images.
        captions: for every image, at least one caption.
    """

    corpus: Corpus
    captions: tuple[tuple[str, ...], ...]

    @classmethod
    def open(cls, url: str, *, cache: Path | None = None) -> RetrievalSet:
        """Open `url` (test/nshards.txt, test/N.tar with KEY.jpg and KEY.txt).

        Raises:
            DataError: if a part is missing, there is no image, or an image has no caption.
        """
        count = read_lines(url, "test/nshards.txt")[0]
        if not count.isdecimal() or int(count) == 0:
            raise DataError(f"{url}/test/nshards.txt: {count!r} is not a number of shards")
        corpus = Corpus.open([f"{url.rstrip('/')}/test/{index}.tar" for index in range(int(count))], cache=cache)
        if len(corpus) == 0:
            raise DataError(f"{url}/test has no images")
        captions = []
        for position, key in enumerate(corpus.keys):
            lines = tuple(line.strip() for line in (corpus.caption(position) or "").splitlines() if line.strip())
            if not lines:
                raise DataError(f"{url}: image {key!r} has no caption ({key}.txt), which a retrieval set needs")
            captions.append(lines)
        return cls(corpus, tuple(captions))

    @property
    def keys(self) -> list[str]:
        """Return the sample keys."""
        return list(self.corpus.keys)

    def __len__(self) -> int:
        return len(self.captions)

    def images(self, positions: Positions, size: int, interpolation: Interpolation) -> NDArray[np.uint8]:
        """Decode images to uint8 [n, 3, size, size]."""
        out = np.empty((len(positions), 3, size, size), np.uint8)
        for row, position in enumerate(positions):
            out[row] = load_image(self.corpus.image_bytes(int(position)), size, interpolation)
        return out

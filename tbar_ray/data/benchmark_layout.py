"""CLIP_benchmark's WebDataset layout: short text files, and splits of numbered shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import fsspec
import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation, load_image
from tbar_ray.data.keys import tell_their_set
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError

SplitName = Literal["train", "test"]
Positions = Sequence[int] | NDArray[np.int64]


def read_lines(url: str, name: str) -> list[str]:
    """Read the non-empty lines, stripped, of a text file of an evaluation set.

    Raises:
        DataError: if the file is missing or empty.
    """
    path = f"{url.rstrip('/')}/{name}"
    try:
        with fsspec.open(path, "rt", encoding="utf-8") as file:
            lines = [line.strip() for line in file.read().splitlines() if line.strip()]
    except Exception as error:  # object-store clients raise many kinds of exception
        raise DataError(
            f"{path} cannot be read ({_reason(error)}); an evaluation set has CLIP_benchmark's WebDataset layout"
        ) from None
    if not lines:
        raise DataError(f"{path} is empty")
    return lines


def has_split(url: str, split: SplitName) -> bool:
    """Whether `SPLIT/nshards.txt` exists.

    Raises:
        DataError: if the location cannot be looked up, which does not imply that the split is missing.
    """
    path = f"{url.rstrip('/')}/{split}/nshards.txt"
    try:
        system, place = fsspec.core.url_to_fs(path)
        return bool(system.exists(place))
    except Exception as error:
        raise DataError(f"cannot look up {path}: {_reason(error)}") from None


def open_split(url: str, split: SplitName, *, cache: Path | None = None) -> Corpus:
    """Open the shards of a split: `SPLIT/0.tar`, ..., as many as `SPLIT/nshards.txt` states.

    Keys are in a namespace of this split of this set, since every split numbers its samples anew; those of the embedded
    sets have none, since they name set and split themselves.

    Raises:
        DataError: if the split or a shard is missing, or there is no image.
    """
    if split == "train" and not has_split(url, split):
        raise DataError(f"{url} has no train/nshards.txt: the single-task setting needs `train/` for fine-tuning")
    count = read_lines(url, f"{split}/nshards.txt")[0]
    if not count.isdecimal() or int(count) == 0:
        raise DataError(f"{url}/{split}/nshards.txt: {count!r} is not a number of shards")
    corpus = Corpus.open([f"{url.rstrip('/')}/{split}/{index}.tar" for index in range(int(count))], cache=cache)
    return corpus if tell_their_set(corpus.keys) else corpus.within(f"{split}-{corpus.signature()}")


def load_images(corpus: Samples, positions: Positions, size: int, interpolation: Interpolation) -> NDArray[np.uint8]:
    """Decode images to uint8 [n, 3, size, size].

    Raises:
        DataError: if an image cannot be decoded.
    """
    out = np.empty((len(positions), 3, size, size), np.uint8)
    for row, position in enumerate(positions):
        out[row] = load_image(corpus.image_bytes(int(position)), size, interpolation)
    return out


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

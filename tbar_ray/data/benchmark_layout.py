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
from tbar_ray.data.places import inside
from tbar_ray.data.samples import Samples
from tbar_ray.data.text import decode_text, lines_of
from tbar_ray.errors import DataError

SplitName = Literal["train", "test"]
Positions = Sequence[int] | NDArray[np.int64]


def read_lines(url: str, name: str) -> list[str]:
    """Read the non-empty lines, stripped, of a text file of an evaluation set.

    Raises:
        DataError: if the file is missing or empty.
    """
    path = inside(url, name)
    try:
        system, place = fsspec.core.url_to_fs(path)
        data = system.cat_file(place)
    except Exception as error:  # object-store clients raise many kinds of exception
        raise DataError(
            f"{path} cannot be read ({_reason(error)}); an evaluation set has CLIP_benchmark's WebDataset layout"
        ) from None
    lines = lines_of(decode_text(data, path))
    if not lines:
        raise DataError(f"{path} is empty")
    return lines


def has_split(url: str, split: SplitName) -> bool:
    """Whether `SPLIT/nshards.txt` exists.

    Raises:
        DataError: if the location cannot be looked up, which does not imply that the split is missing.
    """
    path = inside(url, f"{split}/nshards.txt")
    try:
        system, place = fsspec.core.url_to_fs(path)
        return bool(system.exists(place))
    except Exception as error:
        raise DataError(f"cannot look up {path}: {_reason(error)}") from None


def split_shards(url: str, split: SplitName) -> list[str]:
    """Return the shards of a split: `SPLIT/0.tar`, ..., as many as `SPLIT/nshards.txt` states.

    So they are known on a web server, too, that lists no folders.

    Raises:
        DataError: if the split is missing, or its file states no number.
    """
    if split == "train" and not has_split(url, split):
        raise DataError(f"{url} has no train/nshards.txt: the single-task setting needs `train/` for fine-tuning")
    count = read_lines(url, f"{split}/nshards.txt")[0]
    if not count.isdecimal() or int(count) == 0:
        raise DataError(f"{inside(url, split)}/nshards.txt: {count!r} is not a number of shards")
    return [inside(url, f"{split}/{index}.tar") for index in range(int(count))]


def open_split(url: str, split: SplitName, *, cache: Path | None = None) -> Corpus:
    """Open the shards of a split: `SPLIT/0.tar`, ..., as many as `SPLIT/nshards.txt` states.

    Raises:
        DataError: if the split or a shard is missing, or there is no image.
    """
    return Corpus.open(split_shards(url, split), cache=cache)


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

"""CLIP_benchmark's WebDataset layout: short text files, and splits of numbered shards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import fsspec
import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import Interpolation, load_image
from tbar_ray.data.keys import tell_their_set
from tbar_ray.data.layout import CLASSNAMES, COUNT, SPLITS, SplitName
from tbar_ray.data.places import PIPE, WEB, inside, is_folder, resolve, unset
from tbar_ray.data.remote import filesystem, is_there
from tbar_ray.data.samples import Samples
from tbar_ray.data.text import decode_text, lines_of
from tbar_ray.errors import DataError, ShardChangedError, one_line
from tbar_ray.foreign import foreign
from tbar_ray.redaction import redact

Policy = Literal["error", "warn"]
"""What damage does: it is an error, or what was lost is left out and named."""
HIDDEN = (401, 403)
"""Answers of web servers to requests for a file that is not there, where they let nobody list what is."""
MOST_SHARDS = 1_000_000
"""Shards that a split may have."""
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
            f"{path} cannot be read ({one_line(error)}){unset(path)}; an evaluation set has CLIP_benchmark's "
            f"WebDataset layout; `tbar data import IMAGES OUT --evaluation` makes one"
        ) from None
    if (what := foreign(data)) is not None:
        raise DataError(f"{path} is {what}")
    lines = lines_of(decode_text(data, path))
    if not lines:
        raise DataError(f"{path} is empty")
    return lines


def has_split(url: str, split: SplitName) -> bool:
    """Whether `SPLIT/nshards.txt` exists.

    Raises:
        DataError: as `has_file`.
    """
    return has_file(url, f"{split}/{COUNT}")


def has_file(url: str, name: str) -> bool:
    """Whether a set has a file of that name.

    Raises:
        DataError: if the location cannot be looked up, which does not imply that the file is missing.
    """
    path = inside(url, name)
    system, _ = filesystem(path)
    try:
        return is_there(system, path)
    except DataError as error:
        if path.startswith(WEB) and getattr(error.__cause__, "status", None) in HIDDEN:
            return False
        raise


def is_set(url: str) -> bool:
    """Whether a place is a set in this layout, labelled or of retrieval, and not a corpus of shards.

    Raises:
        DataError: as `has_file`.
    """
    names = (CLASSNAMES, *(f"{split}/{COUNT}" for split in SPLITS))
    return not _names_shards(url) and any(has_file(url, name) for name in names)


def is_labelled_set(url: str) -> bool:
    """Whether a place is a labelled set in this layout: one with `classnames.txt`.

    Raises:
        DataError: as `has_file`.
    """
    return not _names_shards(url) and has_file(url, CLASSNAMES)


def _names_shards(url: str) -> bool:
    """Whether a place is a command, a pattern or a file, which no set is."""
    pattern = not is_folder(resolve(url)) and any(sign in url for sign in "*{[")
    return url.startswith(PIPE) or pattern or url.partition("?")[0].endswith(".tar")


def split_there(url: str, wanted: SplitName) -> SplitName:
    """The split that is wanted of a set; of a set with one split alone, that one.

    Raises:
        DataError: if it has none; else as `has_file`.
    """
    found = [split for split in (wanted, *SPLITS) if has_split(url, split)]
    if not found:
        raise DataError(f"{redact(url)} has neither test/{COUNT} nor train/{COUNT}: an evaluation set has one of them")
    return found[0]


def split_shards(url: str, split: SplitName) -> list[str]:
    """Places of a split's shards: `SPLIT/0.tar`, ..., as many as `SPLIT/nshards.txt` states.

    So they are known on a web server, too, that lists no folders.

    Raises:
        DataError: if the split is missing, or its file states no number.
    """
    if split == "train" and not has_split(url, split):
        raise DataError(f"{url} has no train/nshards.txt: the single-task setting needs `train/` for fine-tuning")
    count = read_lines(url, f"{split}/{COUNT}")[0]
    if not count.isdecimal() or len(count) > len(str(MOST_SHARDS)) or not 1 <= int(count) <= MOST_SHARDS:
        raise DataError(f"{inside(url, split)}/nshards.txt: {count[:40]!r} is not a number of shards")
    return [inside(url, f"{split}/{index}.tar") for index in range(int(count))]


def open_split(url: str, split: SplitName, *, cache: Path | None = None, policy: Policy = "warn") -> Corpus:
    """Open the shards of a split: `SPLIT/0.tar`, ..., as many as `SPLIT/nshards.txt` states.

    Keys are in a namespace of this split of this set, since every split numbers its samples anew; those of the embedded
    sets have none, since they name set and split themselves.

    Args:
        url: the set.
        split: its part.
        cache: folder for downloads.
        policy: what damage does: an error, or the corpus's `problems` tell what was lost.

    Raises:
        DataError: if the split or a shard is missing, there is no image, or there is damage under "error".
    """
    corpus = Corpus.open(split_shards(url, split), cache=cache, policy=policy)
    return corpus if tell_their_set(corpus.keys) else corpus.within(f"{split}-{corpus.signature()}")


class Loaded(NamedTuple):
    """Decoded images.

    Attributes:
        images: uint8 [n, 3, size, size].
        positions: where they are in their set, int64 [n].
        lost: the images that could not be decoded, one line each: shard, key and reason.
    """

    images: NDArray[np.uint8]
    positions: NDArray[np.int64]
    lost: tuple[str, ...]


def load_images(
    corpus: Samples, positions: Positions, size: int, interpolation: Interpolation, policy: Policy = "error"
) -> Loaded:
    """Decode images; one that cannot be decoded is an error, or under "warn" left out and named.

    Raises:
        DataError: if an image cannot be decoded, under "error", or none can be.
    """
    out = np.empty((len(positions), 3, size, size), np.uint8)
    kept: list[int] = []
    lost: list[str] = []
    for position in map(int, positions):
        try:
            out[len(kept)] = load_image(corpus.image_bytes(position), size, interpolation)
        except ShardChangedError:
            raise
        except DataError as error:
            lost.append(f"{_sample(corpus, position)}: {error}")
            if policy == "error":
                raise DataError(lost[0]) from None
        else:
            kept.append(position)
    if lost and not kept:
        raise DataError(f"none of {len(lost)} images can be read; first: {lost[0]}")
    return Loaded(out[: len(kept)], np.array(kept, np.int64), tuple(lost))


def _sample(corpus: Samples, position: int) -> str:
    """Name a sample: its shard, where it is in one, and its key."""
    if not isinstance(corpus, Corpus):
        return corpus.keys[position]
    return f"{corpus.shard_urls[corpus.shard_index(position)]}: {corpus.name(position)}"

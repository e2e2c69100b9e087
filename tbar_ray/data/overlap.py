"""Samples that several sets have in common: by the images' bytes, and by key.

Bytes decide: keys are numbers in most sets, so that unrelated sets share them. An image that was encoded again has
other bytes and is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tbar_ray.data.image_hashes import image_hashes, image_sizes
from tbar_ray.data.open_sets import short_name
from tbar_ray.data.samples import Samples

EXAMPLES = 5


class Overlap(BaseModel):
    """What two sets have in common.

    Attributes:
        first: name of a set.
        second: name of the other.
        images: images of the first whose bytes are those of an image of the second; None if one has keys alone.
        keys: keys that both have.
        same: of these keys, those whose images are the same; None if one set has keys alone.
        examples: pairs of keys of the same image, or of the same key where no images are compared, up to `EXAMPLES`.
    """

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    images: int | None
    keys: int
    same: int | None
    examples: tuple[tuple[str, str], ...]

    @property
    def shared(self) -> int:
        """Samples in common: by their images, or by key where one set has keys alone."""
        return self.keys if self.images is None else self.images


@dataclass(frozen=True)
class KeyList:
    """A set of which only keys are known: a manifest's."""

    keys: tuple[str, ...]


Compared = Samples | KeyList


def overlaps(sets: Mapping[str, Compared], progress: Callable[[int, int], None] | None = None) -> list[Overlap]:
    """What every two of the sets have in common.

    Only images whose size another set has too are read.

    Args:
        sets: at least two, by name.
        progress: called with (images hashed, images to hash).

    Raises:
        DataError: if a folder or shard cannot be read.
    """
    images = {name: given for name, given in sets.items() if not isinstance(given, KeyList)}
    candidates = _of_shared_size({name: image_sizes(samples) for name, samples in images.items()})
    total, done = sum(len(positions) for positions in candidates.values()), 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    hashes = {name: image_hashes(samples, candidates[name].tolist(), advance) for name, samples in images.items()}
    return [_compare(sets, hashes, first, second) for first, second in combinations(sets, 2)]


def _of_shared_size(sizes: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Positions of the images of each set whose size an image of another set has."""
    found = {}
    for name, own in sizes.items():
        others = [other for set_name, other in sizes.items() if set_name != name]
        shared = np.isin(own, np.concatenate(others)) if others else np.zeros(len(own), bool)
        found[name] = np.flatnonzero(shared)
    return found


def _compare(
    sets: Mapping[str, Compared], hashes: Mapping[str, Mapping[int, bytes]], first: str, second: str
) -> Overlap:
    names = {name: _names(sets[name]) for name in (first, second)}
    common = names[first].keys() & names[second].keys()
    if first not in hashes or second not in hashes:
        examples = tuple((key, key) for key in sorted(common)[:EXAMPLES])
        return Overlap(first=first, second=second, images=None, keys=len(common), same=None, examples=examples)
    place = {digest: position for position, digest in reversed(list(hashes[second].items()))}
    found = [(position, place[digest]) for position, digest in sorted(hashes[first].items()) if digest in place]
    same = sum(
        1
        for key in common
        if (digest := hashes[first].get(names[first][key])) is not None
        and digest == hashes[second].get(names[second][key])
    )
    a, b = sets[first], sets[second]
    assert not isinstance(a, KeyList)
    assert not isinstance(b, KeyList)
    examples = tuple((short_name(a, i), short_name(b, j)) for i, j in found[:EXAMPLES])
    return Overlap(first=first, second=second, images=len(found), keys=len(common), same=same, examples=examples)


def _names(given: Compared) -> dict[str, int]:
    if isinstance(given, KeyList):
        return {key: position for position, key in enumerate(given.keys)}
    return {short_name(given, position): position for position in range(len(given.keys))}

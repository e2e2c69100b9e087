"""Samples that several sets have in common: by the images' bytes, and by key.

Bytes decide: keys are numbers in most sets, so that unrelated sets share them. An image that was encoded again has
other bytes; such images are found only if it is asked for those that look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tbar_ray.data.image_hashes import image_hashes, image_sizes
from tbar_ray.data.near_duplicates import alike, visual_hashes
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
        near: images of the first that have other bytes than all of the second, and look like one of them; None if it
            was not asked for, or one set has keys alone.
        near_examples: pairs of their keys.
    """

    model_config = ConfigDict(frozen=True)

    first: str
    second: str
    images: int | None
    keys: int
    same: int | None
    examples: tuple[tuple[str, str], ...]
    near: int | None = None
    near_examples: tuple[tuple[str, str], ...] = ()

    @property
    def shared(self) -> int:
        """Samples in common: by their images, those that look alike among them, or by key where one has keys alone."""
        return self.keys if self.images is None else self.images + (self.near or 0)


@dataclass(frozen=True)
class KeyList:
    """A set of which only keys are known: a manifest's."""

    keys: tuple[str, ...]


Compared = Samples | KeyList


def overlaps(
    sets: Mapping[str, Compared], progress: Callable[[int, int], None] | None = None, *, near: int | None = None
) -> list[Overlap]:
    """What every two of the sets have in common.

    Only images whose size another set has too are read; for those that look alike all are decoded.

    Args:
        sets: at least two, by name.
        progress: called with (images hashed, images to hash).
        near: look for images that look alike, too: whose visual hashes differ in at most so many of 64 bits.

    Raises:
        DataError: if a folder or shard cannot be read, or `near` is out of range.
    """
    images = {name: given for name, given in sets.items() if not isinstance(given, KeyList)}
    candidates = _of_shared_size({name: image_sizes(samples) for name, samples in images.items()})
    seen = images if near is not None else {}
    total = sum(len(rows) for rows in candidates.values()) + sum(len(samples) for samples in seen.values())
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None:
            progress(done, total)

    hashes = {name: image_hashes(samples, candidates[name].tolist(), advance) for name, samples in images.items()}
    looks = {name: visual_hashes(samples, range(len(samples)), advance) for name, samples in seen.items()}
    found = []
    for first, second in combinations(sets, 2):
        compared = _compare(sets, hashes, first, second)
        if near is not None and first in looks and second in looks:
            same = _same_bytes(hashes[first], hashes[second])
            pairs = [pair for pair in alike(looks[first], looks[second], near) if pair[0] not in same]
            compared = _with_near(compared, images[first], images[second], pairs)
        found.append(compared)
    return found


def _with_near(found: Overlap, one: Samples, other: Samples, pairs: Sequence[tuple[int, int]]) -> Overlap:
    examples = tuple((short_name(one, i), short_name(other, j)) for i, j in pairs[:EXAMPLES])
    return found.model_copy(update={"near": len(pairs), "near_examples": examples})


def _same_bytes(first: Mapping[int, bytes], second: Mapping[int, bytes]) -> dict[int, int]:
    """Positions in the first of images that the second has too, and where it has them."""
    place = {digest: position for position, digest in reversed(list(second.items()))}
    return {position: place[digest] for position, digest in sorted(first.items()) if digest in place}


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
    found = list(_same_bytes(hashes[first], hashes[second]).items())
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

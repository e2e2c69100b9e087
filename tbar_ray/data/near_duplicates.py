"""Images that look alike: those that were resized or encoded anew have other bytes, and nearly the same hash.

The hash is that of pHash (Zauner 2010, "Implementation and Benchmarking of Perceptual Image Hash Functions"): an image
in grey, 32 × 32 pixels, its cosine transform, and of the 8 × 8 lowest frequencies whether each is above their median.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import dctn

from tbar_ray.data.image_hashes import hashed
from tbar_ray.data.images import decode_image
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError

SIDE: Final = 32
LOW: Final = 8
BITS: Final = LOW * LOW
DEFAULT: Final = 4
"""Bits by which images that look alike differ at most."""
MOST: Final = 16
"""Largest number of such bits: beyond it unrelated images are close too, and all would be compared with all."""
PLAIN: Final = 2.0
"""Deviation of grey levels, 0 to 255, below which an image has too little to see: its hash is noise."""

Hashes = dict[int, int]
"""Hashes by position."""


def visual_hashes(samples: Samples, positions: Sequence[int], progress: Callable[[int], None] | None = None) -> Hashes:
    """64-bit hashes of images, by position; those that cannot be read, or are of one colour, are left out.

    Arguments as for `hashed`.
    """
    return hashed(samples, positions, lambda content: visual_hash(decode_image(content)), progress)


def visual_hash(pixels: NDArray[np.uint8]) -> int | None:
    """Hash of an image, uint8 [H, W, 3]; None if it is of one colour."""
    grey = Image.fromarray(pixels).convert("L").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    levels = np.asarray(grey, np.float64)
    if levels.std() < PLAIN:
        return None
    low = dctn(levels, type=2)[:LOW, :LOW].reshape(-1)
    bits = low > np.median(low)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def alike(first: Hashes, second: Hashes, bits: int) -> list[tuple[int, int]]:
    """(Position in the first, position in the second) of images whose hashes differ in at most `bits` bits.

    Each of the first is there once, with the closest of the second.

    Two hashes that differ in at most b bits agree in one of b + 1 parts at least: only those are compared.

    Raises:
        DataError: if `bits` is below 0 or above `MOST`.
    """
    if not 0 <= bits <= MOST:
        raise DataError(f"near: images may differ in 0 to {MOST} of {BITS} bits, not {bits}")
    one, other = (np.array(list(hashes.values()), np.uint64) for hashes in (first, second))
    best = np.full(len(one), BITS + 1)
    found = np.zeros(len(one), np.int64)
    for low, high in _parts(bits + 1):
        for row, place in _agreeing(_cut(one, low, high), _cut(other, low, high)):
            distance = np.bitwise_count(one[row] ^ other[place]).astype(np.int64)
            closest = int(distance.argmin())
            if distance[closest] < best[row]:
                best[row], found[row] = distance[closest], place[closest]
    keys, places = list(first), list(second)
    return [(keys[row], places[int(found[row])]) for row in np.flatnonzero(best <= bits)]


def _parts(count: int) -> list[tuple[int, int]]:
    edges = np.linspace(0, BITS, count + 1).astype(int).tolist()
    return list(pairwise(edges))


def _cut(hashes: NDArray[np.uint64], low: int, high: int) -> NDArray[np.uint64]:
    """Bits `low` to `high` of each hash."""
    mask = np.uint64((1 << (high - low)) - 1)
    return (hashes >> np.uint64(low)) & mask


def _agreeing(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Rows of the first that some rows of the second are equal to, and those."""
    order = np.argsort(other, kind="stable")
    ranked = other[order]
    begins, ends = (np.searchsorted(ranked, one, side) for side in ("left", "right"))
    rows = np.flatnonzero(ends > begins)
    return [(int(row), order[begins[row] : ends[row]]) for row in rows]

"""Images by content: SHA-256 of their bytes, and their sizes, by which most can be told apart without reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.processors import processors

HashT = TypeVar("HashT")
AT_ONCE = 1024  # images that are submitted together: progress moves, and few are held


def image_sizes(samples: Samples) -> NDArray[np.int64]:
    """Bytes of every image, int64 [N]; read from indexes and folders alone where possible."""
    if isinstance(samples, Corpus):
        return samples.image_sizes()
    if isinstance(samples, FolderSamples):
        return np.array([(samples.folder / key).stat().st_size for key in samples.keys], np.int64)
    return np.array([len(samples.image_bytes(i)) for i in range(len(samples))], np.int64)


def image_hashes(
    samples: Samples, positions: Sequence[int], progress: Callable[[int], None] | None = None
) -> dict[int, bytes]:
    """SHA-256 of images, by position; those that cannot be read are left out. Arguments as for `hashed`."""
    return hashed(samples, positions, lambda content: hashlib.sha256(content).digest(), progress)


def hashed(
    samples: Samples,
    positions: Sequence[int],
    hash_of: Callable[[bytes], HashT | None],
    progress: Callable[[int], None] | None = None,
) -> dict[int, HashT]:
    """Hashes of images, by position; those that cannot be read, or have no hash, are left out.

    Args:
        samples: the set.
        positions: of the images.
        hash_of: hash of an image's bytes; None where it has none.
        progress: called with the number of images just hashed.

    Raises:
        ShardChangedError: if a shard changes meanwhile.
    """

    def one(i: int) -> HashT | None:
        try:
            return hash_of(samples.image_bytes(i))
        except ShardChangedError:
            raise
        except DataError:
            return None

    found: dict[int, HashT] = {}
    with ThreadPoolExecutor(processors()) as pool:  # decoding and hashing release the interpreter's lock
        for start in range(0, len(positions), AT_ONCE):
            part = positions[start : start + AT_ONCE]
            hashes = zip(part, pool.map(one, part), strict=True)
            found |= {position: value for position, value in hashes if value is not None}
            if progress is not None:
                progress(len(part))
    return found

"""Images by content: SHA-256 of their bytes, and their sizes, by which most can be told apart without reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.processors import processors

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
    """SHA-256 of images, by position; those that cannot be read are left out.

    Args:
        samples: the set.
        positions: of the images.
        progress: called with the number of images just hashed.

    Raises:
        ShardChangedError: if a shard changes meanwhile.
    """
    found: dict[int, bytes] = {}
    with ThreadPoolExecutor(processors()) as pool:  # hashing releases the interpreter's lock
        for start in range(0, len(positions), AT_ONCE):
            part = positions[start : start + AT_ONCE]
            digests = pool.map(lambda i: _hash(samples, i), part)
            found |= {position: digest for position, digest in zip(part, digests, strict=True) if digest is not None}
            if progress is not None:
                progress(len(part))
    return found


def _hash(samples: Samples, i: int) -> bytes | None:
    try:
        return hashlib.sha256(samples.image_bytes(i)).digest()
    except ShardChangedError:
        raise
    except DataError:
        return None

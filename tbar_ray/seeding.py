"""Random draws that depend only on a seed and a stable key.

Every generator is derived by hashing (seed, purpose, key): a sample gets the same draw in any batch, worker, order or
process, and two purposes never share a stream.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Part = int | str


def stable_hash(*parts: Part) -> int:
    """Hash `parts` to 63 bits (BLAKE2b); equal on every machine and Python version."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        text = f"{type(part).__name__}:{part}".encode()
        digest.update(len(text).to_bytes(4, "little") + text)
    return int.from_bytes(digest.digest(), "little") >> 1


def numpy_rng(*parts: Part) -> np.random.Generator:
    """NumPy generator seeded by the hash of `parts`."""
    return np.random.default_rng(stable_hash(*parts))


def torch_generator(*parts: Part) -> torch.Generator:
    """CPU torch generator seeded by the hash of `parts` (draw on the CPU, then move, so that devices agree)."""
    import torch  # numpy-only users (readers of shards, the corpus writer) need not pay for torch

    return torch.Generator().manual_seed(stable_hash(*parts))

"""Weights that come with the package: listing, reading and packing them.

They are stored as float16. Of the token embedding only the rows of tokens seen in training are stored. The other rows
are untrained noise; they are zero when loaded, so that an unknown token adds nothing. `weights/index.json` holds the
SHA-256 of every file. A file must match its hash, and the fingerprint of a campaign contains the hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tbar_ray.errors import CheckpointError
from tbar_ray.models.architectures import architecture_config

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS: Final = Path(__file__).parent / "weights"
INDEX: Final = "index.json"
EMBEDDING: Final = "token_embedding.weight"
ROWS: Final = "token_embedding.rows"


@cache
def shipped_hashes(folder: Path = WEIGHTS) -> dict[str, dict[str, str]]:
    """SHA-256 of every shipped file, by architecture and tag. Imports no torch."""
    hashes: dict[str, dict[str, str]] = json.loads((folder / INDEX).read_text())
    return hashes


def shipped_hash(architecture: str, tag: str, folder: Path = WEIGHTS) -> str | None:
    """SHA-256 of a shipped tag's file, 64 hex digits; None if the package has no such tag.

    Weights are those of an architecture with another normalisation (`…@imagenet`) too.
    """
    return shipped_hashes(folder).get(architecture.partition("@")[0], {}).get(tag)


def load_shipped(architecture: str, tag: str, folder: Path = WEIGHTS) -> dict[str, Tensor]:
    """State dict of a shipped tag in float32; embeddings of words that the file leaves out are 0.

    Raises:
        CheckpointError: if the file is missing or does not match its hash.
    """
    from safetensors.torch import load

    path, known = folder / file_name(architecture, tag), shipped_hash(architecture, tag, folder)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror or error}; install the package again") from None
    if hashlib.sha256(content).hexdigest() != known:
        raise CheckpointError(f"{path} is truncated or was altered (another SHA-256); install the package again")
    state: dict[str, Tensor] = load(content)
    rows, kept = state.pop(ROWS), state[EMBEDDING]
    words = int(architecture_config(architecture)["text_cfg"]["vocab_size"])
    state[EMBEDDING] = kept.new_zeros(words, kept.shape[1]).index_copy_(0, rows, kept)
    return {name: value.float() if value.is_floating_point() else value for name, value in state.items()}


def pack(state: dict[str, Tensor], words: Iterable[int], architecture: str, tag: str, folder: Path = WEIGHTS) -> str:
    """Write a state dict as a shipped tag, add it to the index, and return its SHA-256.

    Args:
        state: the state dict, of any precision.
        words: the tokens seen in training.
        architecture: name of the architecture.
        tag: value of `model.pretrained` that loads it.
        folder: folder of weights and index.

    Raises:
        CheckpointError: if a weight is too large for float16.
    """
    import torch
    from safetensors.torch import save

    rows = torch.tensor(sorted(set(words)), dtype=torch.int64)
    packed = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    packed[EMBEDDING] = packed[EMBEDDING][rows]
    packed = {name: value.half() if value.is_floating_point() else value for name, value in packed.items()}
    infinite = [name for name, value in packed.items() if value.is_floating_point() and not value.isfinite().all()]
    if infinite:
        raise CheckpointError(f"{architecture}: {infinite[0]} does not fit float16")
    # At most one metadata entry: safetensors writes several in arbitrary order, and the hash would not be reproducible.
    content = save({**packed, ROWS: rows}, {"model": f"{architecture} {tag}"})
    digest = hashlib.sha256(content).hexdigest()
    index = folder / INDEX
    hashes: dict[str, dict[str, str]] = json.loads(index.read_text()) if index.is_file() else {}
    hashes.setdefault(architecture, {})[tag] = digest
    (folder / file_name(architecture, tag)).write_bytes(content)
    index.write_text(json.dumps(hashes, indent=4, sort_keys=True) + "\n")
    shipped_hashes.cache_clear()
    return digest


def file_name(architecture: str, tag: str) -> str:
    """ARCHITECTURE-TAG.safetensors: the file of a shipped tag."""
    return f"{architecture}-{tag}.safetensors"

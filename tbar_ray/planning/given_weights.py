"""Weights that a spec gives: where they are, and what identifies them."""

from __future__ import annotations

import hashlib
import json
from functools import lru_cache
from pathlib import Path

from tbar_ray.data.places import is_file, is_folder, is_remote, resolve, unset
from tbar_ray.errors import SpecError
from tbar_ray.models.checkpoint import SUFFIXES, is_weights_file
from tbar_ray.models.factory import weights_file
from tbar_ray.models.formats.folders import is_checkpoint_folder
from tbar_ray.models.shipped import shipped_hash


def given_weights(architecture: str, weights: str, text_from: str | None, field: str) -> dict[str, str]:
    """Fields of a node of given weights, files or tags: places, and identities (tags or digests).

    Args:
        architecture: whose weights they are.
        weights: an open_clip tag, the path of a file or of a checkpoint's folder, or the URL of a file, which is
            downloaded.
        text_from: the same for the text tower of an image encoder alone; None: the weights have one.
        field: where the spec names the weights, for errors.

    Raises:
        SpecError: if there is no such file.
    """
    place, content = _identified(architecture, weights, field)
    found = {"weights": place, "content": content}
    if text_from is None:
        return found
    place, content = _identified(architecture, text_from, text_field(field))
    return {**found, "text_from": place, "text_content": content}


def text_field(field: str) -> str:
    """Where a spec says the text tower of the weights that it names in a field."""
    return f"{field.rpartition('.')[0]}.text_from"


def _identified(architecture: str, weights: str, field: str) -> tuple[str, str]:
    """Place and identity of weights."""
    if not is_weights_file(weights):
        return weights, _digest_tag(architecture, weights)
    place = resolve(weights)
    if not is_remote(place) and not is_file(place) and not is_checkpoint_folder(place):
        if is_folder(place):
            raise SpecError(
                f"{field}: {place} is a folder without a checkpoint of open_clip or transformers; name a file"
            )
        raise SpecError(f"{field}: no file {place}{unset(place)}")
    return place, _digest_weights(weights_file(place))


def _digest_tag(architecture: str, tag: str) -> str:
    """Identity of a tag: of a shipped one 16 hex digits of its SHA-256, which may change; else its name."""
    known = shipped_hash(architecture, tag)
    return f"tag {tag}" if known is None else known[:16]


def _digest_weights(path: Path) -> str:
    """Identity of a checkpoint; of a folder that of its weights and configuration together."""
    if path.is_file():
        return _digest_file(path)
    parts = sorted(part for part in path.iterdir() if part.suffix in (".json", *SUFFIXES))
    named = json.dumps([(part.name, _digest_file(part)) for part in parts])
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _digest_file(path: Path) -> str:
    """16 hex digits of a file's SHA-256; a large file is read again only where it has changed."""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns, about.st_ino)


@lru_cache
def _digest(path: Path, *about: int) -> str:  # noqa: ARG001 - `about` tells versions of the file apart
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]

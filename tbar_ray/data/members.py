"""What shards' members mean: which samples are usable, their captions and metadata, and columns of many shards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.shards import DUPLICATE, KNOWN_EXTENSIONS, MAX_EXTENSIONS, ShardIndex, ShardProblem

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")


def select_samples(index: ShardIndex, seen: set[str]) -> tuple[list[int], list[ShardProblem]]:
    """Choose a shard's usable samples: those with an image whose key is not in `seen`, which grows by them.

    Returns:
        The rows kept, and the shard's problems together with those of the dropped samples.
    """
    kept: list[int] = []
    problems = list(index.problems)
    has_image = np.zeros(len(index.keys), dtype=bool)
    for extension in IMAGE_EXTENSIONS:
        if extension in index.spans:
            has_image |= index.spans[extension][:, 0] >= 0
    for row, (key, usable) in enumerate(zip(index.keys, has_image.tolist(), strict=True)):
        if not usable:
            problems.append(ShardProblem(index.url, key, "no image"))
        elif key in seen:
            problems.append(ShardProblem(index.url, key, f"{DUPLICATE}: an earlier shard has it, dropped here"))
        else:
            seen.add(key)
            kept.append(row)
    return kept, problems


def parse_caption(text: bytes | None, metadata: bytes | None) -> str | None:
    """Return the stripped caption of a .txt, else of a .json's "caption"; None if absent or blank."""
    if text is not None:
        return text.decode("utf-8", "replace").strip() or None
    value = (parse_metadata(metadata) or {}).get("caption") if metadata is not None else None
    return (value.strip() or None) if isinstance(value, str) else None


def parse_metadata(raw: bytes) -> dict[str, Any] | None:
    """Return a .json member's object, or None if it is not one."""
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):  # broken UTF-8 is a ValueError as well
        return None
    return parsed if isinstance(parsed, dict) else None


def stacked_spans(columns: list[Mapping[str, NDArray[np.int64]]], counts: list[int]) -> dict[str, NDArray[np.int64]]:
    """Join the shards' columns; a shard without an extension contributes (-1, -1)."""
    names = dict.fromkeys(name for column in columns for name in column)
    others = [name for name in names if name not in KNOWN_EXTENSIONS][:MAX_EXTENSIONS]
    stacked: dict[str, NDArray[np.int64]] = {}
    for name in [known for known in names if known in KNOWN_EXTENSIONS] + others:
        span = np.full((sum(counts), 2), -1, dtype=np.int64)
        start = 0
        for column, count in zip(columns, counts, strict=True):
            if name in column:
                span[start : start + count] = column[name]
            start += count
        stacked[name] = span
    return stacked

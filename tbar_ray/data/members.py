"""Members of shards: usable samples, captions and metadata, and index columns of many shards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbar_ray.data.shards import DUPLICATE, KNOWN_EXTENSIONS, MAX_EXTENSIONS, ShardIndex, ShardProblem
from tbar_ray.data.text import decode_caption, decode_text
from tbar_ray.errors import DataError

IMAGE_EXTENSIONS = ("jpg", "jpeg", "png", "webp")


def select_samples(index: ShardIndex, seen: set[str]) -> tuple[list[int], list[ShardProblem]]:
    """Choose a shard's usable samples: those with an image and a key not in `seen`; adds their keys to `seen`.

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
            problems.append(
                ShardProblem(index.url, key, f"{DUPLICATE}: also in an earlier shard; this sample is dropped")
            )
        else:
            seen.add(key)
            kept.append(row)
    return kept, problems


def parse_caption(text: bytes | None, metadata: bytes | None) -> str | None:
    """Caption of a .txt, else the "caption" of a .json, stripped; None if absent or blank."""
    if text is not None:
        return decode_caption(text).strip() or None
    value = (parse_metadata(metadata) or {}).get("caption") if metadata is not None else None
    return (value.strip() or None) if isinstance(value, str) else None


def parse_class_index(raw: bytes) -> int | None:
    """Number in a .cls member, or None if it does not hold one."""
    try:
        return int(decode_text(raw, ".cls"))
    except (ValueError, DataError):
        return None


def parse_metadata(raw: bytes) -> dict[str, Any] | None:
    """Object in a .json member, or None if it does not hold one."""
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):  # invalid UTF-8 is also a ValueError
        return None
    return parsed if isinstance(parsed, dict) else None


def stacked_spans(columns: list[Mapping[str, NDArray[np.int64]]], counts: list[int]) -> dict[str, NDArray[np.int64]]:
    """Concatenate the shards' columns to int64 [n, 2] each; samples without a member get (-1, -1)."""
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

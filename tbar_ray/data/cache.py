"""The cache of downloaded shards and shard indexes: bounded in size, shared by the processes of a machine."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
import zipfile
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np

from tbar_ray.data.shards import ShardIndex, ShardProblem
from tbar_ray.errors import SpecError

LIMIT = "TBAR_CACHE_GB"
DEFAULT_GB = 100.0
INDEX = ".index.npz"


def default_cache() -> Path:
    """Default folder for downloaded shards: `tbar-ray/shards` in `$XDG_CACHE_HOME`, else in `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tbar-ray" / "shards"


def cache_limit() -> int:
    """Limit of the cache in bytes: `$TBAR_CACHE_GB`, 100 GB by default.

    Raises:
        SpecError: if the variable is not a positive number.
    """
    return bytes_set(LIMIT, DEFAULT_GB)


def bytes_set(variable: str, default: float) -> int:
    """Read an environment variable in gigabytes and convert it to bytes.

    Raises:
        SpecError: if the variable is not a positive number.
    """
    text = os.environ.get(variable, "").strip()
    try:
        limit = float(text) if text else default
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise SpecError(f"{variable}: {text!r} is not a number of gigabytes above 0")
    return int(limit * 1e9)


def used(path: Path) -> None:
    """Mark a shard as used now: eviction removes the least recently used shard first."""
    with contextlib.suppress(OSError):  # another process has just removed it
        os.utime(path)


def make_room(folder: Path, newest: Path, limit: int) -> list[Path]:
    """Remove least recently used shards, except `newest`, until at most `limit` bytes remain; return the removed paths.

    A process that has mapped a removed shard can go on reading it: the file's data remain until it is closed.
    """
    found: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name.endswith(INDEX):  # downloads in progress; indexes, which are small
            continue
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in found)
    removed: list[Path] = []
    for _, size, path in sorted(found):
        if total <= limit:
            break
        if path != newest:
            path.unlink(missing_ok=True)
            total -= size
            removed.append(path)
    return removed


def save_index(index: ShardIndex, path: Path) -> None:
    """Save a shard's index, so that the shard need not be downloaded again to be indexed."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    columns: dict[str, Any] = {f"span.{extension}": span for extension, span in index.spans.items()}
    problems = json.dumps([astuple(problem) for problem in index.problems])
    try:
        with part.open("wb") as file:
            np.savez_compressed(file, keys=np.array(index.keys, dtype=str), problems=np.array(problems), **columns)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_index(url: str, path: Path) -> ShardIndex | None:
    """Load a saved index; None if there is none or it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as kept:
            spans = {name.removeprefix("span."): kept[name] for name in kept.files if name.startswith("span.")}
            problems = tuple(ShardProblem(*problem) for problem in json.loads(str(kept["problems"])))
            return ShardIndex(url, tuple(kept["keys"].tolist()), spans, problems)
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return None

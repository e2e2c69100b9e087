"""Remote places through fsspec: their file system, whether one is there, and how large a shard is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fsspec

from tbar_ray.data.places import PIPE, WEB, is_remote
from tbar_ray.errors import DataError, one_line

UNKNOWN = -1
"""Size of what does not tell its size."""
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}


def filesystem(url: str) -> tuple[Any, str]:
    """The fsspec file system of a URL, and the path in it.

    Raises:
        DataError: if there is none for its scheme, or its library is not installed.
    """
    scheme = url.split("://", 1)[0]
    try:
        system, remote = fsspec.core.url_to_fs(url)
    except ImportError as error:
        extra = _EXTRAS.get(scheme)
        advice = f"pip install tbar-ray[{extra}]" if extra else f"install it ({one_line(error)})"
        raise DataError(f"{url}: the library for {scheme}:// is missing: {advice}") from error
    except ValueError as error:
        raise DataError(f"{url}: {one_line(error)}") from error
    return system, str(remote)


def is_there(system: Any, name: str) -> bool:
    """Whether a remote place is there.

    Raises:
        DataError: if that cannot be looked up: of the web, only "not found" means that there is nothing, and a server
            may fail in other ways.
    """
    try:
        return bool(system.exists(name, strict=True) if name.startswith(WEB) else system.exists(name))
    except Exception as error:
        raise DataError(f"cannot look up {name}: {one_line(error)}") from error


def size_of(shard: str) -> int:
    """Bytes of one shard, as `expand_shards` returns it; UNKNOWN of a command's output, and if a server does not tell.

    Raises:
        DataError: if it cannot be looked up.
    """
    if shard.startswith(PIPE):
        return UNKNOWN
    if not is_remote(shard):
        return Path(shard).stat().st_size
    system, remote = filesystem(shard)
    try:
        size = system.info(remote).get("size")
    except Exception as error:
        raise DataError(f"cannot look up {shard}: {one_line(error)}") from error
    return UNKNOWN if size is None else int(size)

"""Shards on this machine: local ones as they are, remote ones downloaded once into a cache."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from functools import lru_cache
from pathlib import Path

from tbar_ray.data.cache import INDEX, cache_limit, load_index, make_room, save_index, used
from tbar_ray.data.places import PIPE, WEB, is_remote, resolve
from tbar_ray.data.remote import UNKNOWN, filesystem, size_of
from tbar_ray.data.shards import ShardIndex, index_shard
from tbar_ray.errors import DataError, one_line

_EXIT = re.compile(r": exit (-?\d+) \(read\)")
_CURL = {
    "6": "its host is not known",
    "7": "nobody answers there",
    "18": "the download was cut off",
    "22": "the web server answers with an error",
    "28": "it does not answer in time",
}
"""Codes with which curl ends."""


def local_copy(url: str, cache: Path) -> Path:
    """Path of a local file with the shard's bytes; a remote shard is downloaded once.

    Args:
        url: One shard, as `expand_shards` returns it.
        cache: Folder for downloads, created if needed. Several processes may share it.

    Raises:
        DataError: The shard does not exist, or the download failed or is incomplete.
    """
    if not is_remote(url):
        path = Path(resolve(url))
        if not path.is_file():
            raise DataError(f"no such shard: {path}")
        return path
    target = cache / _cached_name(url)
    if target.is_file():
        used(target)
        return target
    limit = cache_limit()
    # A unique name, so that two processes that fetch one shard cannot write into one file.
    partial = cache / f".{target.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _download(url, partial)
        partial.replace(target)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"cannot download {url}: {_ended(url, error) or one_line(error)}") from error
    finally:
        partial.unlink(missing_ok=True)
    make_room(cache, target, limit)
    return target


def indexed(url: str, cache: Path) -> ShardIndex:
    """Index of a shard; the index of a remote shard is cached, so the shard itself need not be.

    A process indexes an unchanged local shard only once, since every stage opens its corpus.

    Raises:
        DataError: As `local_copy`.
    """
    if not is_remote(url):
        path = local_copy(url, cache)
        status = path.stat()
        return _indexed_as(path, url, status.st_size, status.st_mtime_ns)
    kept = cache / f"{_cached_name(url)}{INDEX}"
    index = load_index(url, kept)
    if index is None:
        index = index_shard(local_copy(url, cache), url)
        save_index(index, kept)
    return index


@lru_cache(maxsize=512)  # about 100 bytes per sample
def _indexed_as(path: Path, url: str, size: int, changed: int) -> ShardIndex:  # noqa: ARG001 - part of the cache key
    return index_shard(path, url)


def _cached_name(url: str) -> str:
    digest = hashlib.sha256(url.encode()).hexdigest()[:16]
    name = "pipe.tar" if url.startswith(PIPE) else url.rstrip("/").rsplit("/", 1)[-1].split("?", 1)[0]
    return f"{digest}-{name}"


def _download(url: str, to: Path) -> None:
    """Write a remote shard to a file, through webdataset for the web and `pipe:` commands, else through fsspec.

    Raises:
        DataError: The download is incomplete, the command failed, or curl, which webdataset runs, is missing.
    """
    web = url.startswith(WEB)
    if web and shutil.which("curl") is None:
        raise DataError(f"{url}: webdataset downloads with curl, which is not installed: install curl")
    if web or url.startswith(PIPE):
        from webdataset.gopen import gopen

        with gopen(url) as stream, to.open("wb") as file:
            shutil.copyfileobj(stream, file)
    else:
        system, remote = filesystem(url)
        system.get_file(remote, str(to))
    size, expected = to.stat().st_size, size_of(url)
    if expected == UNKNOWN and size == 0:
        raise DataError(f"{url}: no data received; check the URL or command")
    if expected not in (UNKNOWN, size):
        raise DataError(f"{url}: incomplete download: {size} bytes, the store says {expected}")


def _ended(url: str, error: BaseException) -> str | None:
    """How a command or curl ended, which webdataset tells with all that it was started with; None of other errors."""
    if (found := _EXIT.search(str(error))) is None:
        return None
    code = found[1]
    if not url.startswith(WEB):
        return f"the command ended with {code}"
    return _CURL.get(code, f"curl ended with {code}")

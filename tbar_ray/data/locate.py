"""Locating shards: directories, globs, brace patterns and remote URLs become a list of tar files."""

from __future__ import annotations

import glob
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypedDict

import fsspec
from braceexpand import braceexpand

from tbar_ray.data.cache import INDEX, cache_limit, load_index, make_room, save_index, used
from tbar_ray.data.places import PIPE, WEB, is_file, is_folder, is_remote, resolve, unset
from tbar_ray.data.shards import ShardIndex, index_shard
from tbar_ray.errors import DataError

_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_TABLES = (".csv", ".tsv", ".parquet")
ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar")
_UNKNOWN = -1
_OTHER_BACKSLASH = re.compile(r"\\(?![{},])")
_EXIT = re.compile(r": exit (-?\d+) \(read\)")
_CURL = {
    "6": "its host is not known",
    "7": "nobody answers there",
    "18": "the download was cut off",
    "22": "the web server answers with an error",
    "28": "it does not answer in time",
}
"""Codes with which curl ends."""
_LOOKUPS = 16  # parallel remote existence checks: they wait for the network, not the CPU


ShardState = tuple[int, int]


class ShardDescription(TypedDict):
    """A shard's URL and size in bytes (_UNKNOWN for a command's output, or if a web server does not report it)."""

    url: str
    size: int


def expand_shards(url: str | Sequence[str]) -> tuple[str, ...]:
    """Expand a user's shard specification into a list of shards.

    Args:
        url: A directory (all its `*.tar`, sorted), a glob, a brace pattern (`{00000..00331}`, `{a,b}`), one
            tar, or a list of those; each is a place as `places.resolve` reads it, so a local path, an fsspec URL, or
            WebDataset's `pipe:COMMAND` (braces are also expanded there; a shell runs the command when the shard is
            first read). What exists under the very name that is written is no pattern.

    Returns:
        Absolute local paths or full URLs, in the order given, without duplicates.

    Raises:
        DataError: Nothing matches, a named shard does not exist, or the library for the URL's scheme is not installed.
    """
    written = [url] if isinstance(url, str) else [str(item) for item in url]
    if not written:
        raise DataError("no shards: the list of URLs is empty")
    if any(not item.removeprefix(PIPE).strip() for item in written):
        raise DataError(f"no shards: {written} names an empty place")
    found: list[str] = []
    for item in map(resolve, written):
        if item.startswith(PIPE):
            found.extend(_braces(item))
        else:
            found.extend(_expand_remote(item) if is_remote(item) else _expand_local(item))
    return tuple(dict.fromkeys(found))


def shard_state(url: str) -> ShardState | None:
    """What tells a local shard from another one of its name: bytes, and nanoseconds of its last change.

    Returns:
        None for a remote shard, and for one that is not there.
    """
    if is_remote(url):
        return None
    try:
        status = Path(resolve(url)).stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


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
        raise DataError(f"cannot download {url}: {_ended(url, error) or _reason(error)}") from error
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
    size, expected = to.stat().st_size, _size(url)
    if expected == _UNKNOWN and size == 0:
        raise DataError(f"{url}: no data received; check the URL or command")
    if expected not in (_UNKNOWN, size):
        raise DataError(f"{url}: incomplete download: {size} bytes, the store says {expected}")


def describe_shards(url: str | Sequence[str]) -> list[ShardDescription]:
    """URL and byte size of each shard; they identify an external corpus in fingerprints.

    Raises:
        DataError: As `expand_shards`, or a size cannot be looked up.
    """
    shards = expand_shards(url)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        sizes = pool.map(_size, shards)
        return [{"url": shard, "size": size} for shard, size in zip(shards, sizes, strict=True)]


def _expand_local(item: str) -> list[str]:
    if is_folder(item):
        tars = _matches(item, "*.tar")
        if not tars:
            raise DataError(f"no *.tar in the directory {item}; `tbar data import` makes shards of images")
        return tars
    if is_file(item):  # checked before patterns: a file's name may contain brackets
        if item.lower().endswith(_TABLES):
            raise DataError(f"{item} is a table, not a shard: `tbar data import` makes shards of it")
        if item.lower().endswith(ARCHIVES):
            raise DataError(f"{item} is an archive, not a shard: unpack it first")
        return [item]
    found: list[str] = []
    folder, pattern = _literal_folder(item)
    for rest in _braces(pattern):
        name = f"{folder.rstrip('/')}/{rest}"
        if is_folder(name):
            found.extend(_expand_local(name))
        elif is_file(name):
            found.append(name)
        elif not glob.has_magic(rest):
            raise DataError(f"no such shard: {name}{unset(name)}")
        elif matches := _matches(folder, rest):
            found.extend(matches)
        else:
            raise DataError(f"no shard matches {name}{unset(name)}")
    return found


def _literal_folder(path: str) -> tuple[str, str]:
    """Split an absolute path into the deepest folder that is there as written, whatever signs it has, and the rest."""
    parts = path.split("/")
    for count in range(len(parts) - 1, 0, -1):
        folder = "/".join(parts[:count]) or "/"
        if is_folder(folder):
            return folder, "/".join(parts[count:])
    return "/", path.lstrip("/")


def _matches(folder: str, pattern: str) -> list[str]:
    found = (path for path in Path(folder).glob(pattern) if path.is_file())
    # Hidden files are downloads in progress and macOS's `._` companions, not shards.
    return sorted(str(path) for path in found if not path.name.startswith("."))


def _expand_remote(item: str) -> list[str]:
    system, _ = filesystem(item)
    found: list[str] = []
    named: list[str] = []
    scheme = item.split("://", 1)[0]
    web = item.startswith(WEB)  # `?` starts a query, and directories may not be listable
    # what exists as it is written is no pattern
    for name in [item] if "{" in item and is_there(system, item) else _braces(item):
        try:
            if ((not web and glob.has_magic(name)) or (web and "*" in name)) and not system.exists(name):
                matches = sorted(system.glob(name))
            elif not name.split("?", 1)[0].endswith(".tar") and system.isdir(name):
                matches = sorted(system.glob(name.rstrip("/") + "/*.tar"))
            else:
                named.append(name)
                found.append(name)
                continue
        except Exception as error:
            raise DataError(f"cannot list {name}: {_reason(error)}") from error
        if not matches:
            raise DataError(f"no shard matches {name}")
        found.extend(match if "://" in match else f"{scheme}://{match.lstrip('/')}" for match in matches)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        for name, exists in zip(named, pool.map(lambda one: is_there(system, one), named), strict=True):
            if not exists:
                raise DataError(f"no such shard: {name}{unset(name)}")
    return found


def is_there(system: Any, name: str) -> bool:
    """Whether a remote place is there.

    Raises:
        DataError: if that cannot be looked up: of the web, only "not found" means that there is nothing, and a server
            may fail in other ways.
    """
    try:
        return bool(system.exists(name, strict=True) if name.startswith(WEB) else system.exists(name))
    except Exception as error:
        raise DataError(f"cannot look up {name}: {_reason(error)}") from error


def _size(shard: str) -> int:
    if shard.startswith(PIPE):
        return _UNKNOWN
    if not is_remote(shard):
        return Path(shard).stat().st_size
    system, remote = filesystem(shard)
    try:
        size = system.info(remote).get("size")
    except Exception as error:
        raise DataError(f"cannot look up {shard}: {_reason(error)}") from error
    return _UNKNOWN if size is None else int(size)


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
        advice = f"pip install tbar-ray[{extra}]" if extra else f"install it ({_reason(error)})"
        raise DataError(f"{url}: the library for {scheme}:// is missing: {advice}") from error
    except ValueError as error:
        raise DataError(f"{url}: {_reason(error)}") from error
    return system, str(remote)


def _braces(text: str) -> list[str]:
    if "{" not in text and "}" not in text:
        return [text]
    try:
        # a backslash makes a brace a sign; any other is part of a name, or a shell's
        return list(braceexpand(_OTHER_BACKSLASH.sub(r"\\\\", text)))
    except ValueError as error:
        raise DataError(f"unbalanced braces in {text}") from error


def _ended(url: str, error: BaseException) -> str | None:
    """How a command or curl ended, which webdataset tells with all that it was started with; None of other errors."""
    if (found := _EXIT.search(str(error))) is None:
        return None
    code = found[1]
    if not url.startswith(WEB):
        return f"the command ended with {code}"
    return _CURL.get(code, f"curl ended with {code}")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__

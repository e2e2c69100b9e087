"""Locating shards: directories, globs, brace patterns and remote URLs become a list of tar files."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

from braceexpand import braceexpand

from tbar_ray.data.places import PIPE, WEB, is_file, is_folder, is_remote, resolve, unset
from tbar_ray.data.remote import filesystem, is_there, size_of
from tbar_ray.errors import DataError, one_line

_TABLES = (".csv", ".tsv", ".parquet")
ARCHIVES = (".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst", ".7z", ".rar")
_OTHER_BACKSLASH = re.compile(r"\\(?![{},])")
_LOOKUPS = 16  # parallel remote existence checks: they wait for the network, not the CPU


ShardState = tuple[int, int]


class ShardDescription(TypedDict):
    """A shard's URL and size in bytes (UNKNOWN for a command's output, or if a web server does not report it)."""

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


def describe_shards(url: str | Sequence[str]) -> list[ShardDescription]:
    """URL and byte size of each shard; they identify an external corpus in fingerprints.

    Raises:
        DataError: As `expand_shards`, or a size cannot be looked up.
    """
    shards = expand_shards(url)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        sizes = pool.map(size_of, shards)
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
            raise DataError(f"cannot list {name}: {one_line(error)}") from error
        if not matches:
            raise DataError(f"no shard matches {name}")
        found.extend(match if "://" in match else f"{scheme}://{match.lstrip('/')}" for match in matches)
    with ThreadPoolExecutor(_LOOKUPS) as pool:
        for name, exists in zip(named, pool.map(lambda one: is_there(system, one), named), strict=True):
            if not exists:
                raise DataError(f"no such shard: {name}{unset(name)}")
    return found


def _braces(text: str) -> list[str]:
    if "{" not in text and "}" not in text:
        return [text]
    try:
        # a backslash makes a brace a sign; any other is part of a name, or a shell's
        return list(braceexpand(_OTHER_BACKSLASH.sub(r"\\\\", text)))
    except ValueError as error:
        raise DataError(f"unbalanced braces in {text}") from error

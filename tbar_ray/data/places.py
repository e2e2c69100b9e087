"""Places as users write them: local paths, URLs and `pipe:` commands. Every place that is named is read here."""

from __future__ import annotations

import os
from pathlib import Path

PIPE = "pipe:"
LOCAL = ("file://", "local://")
WEB = ("http://", "https://")


def is_remote(place: str) -> bool:
    """Whether a place is not on a local disk, including the output of a `pipe:` command."""
    return place.startswith(PIPE) or ("://" in place and not place.startswith(LOCAL))


def resolve(place: str | Path) -> str:
    """A place in full, so that it means the same in another directory and on another node.

    Args:
        place: a local path, absolute or not, in which `~` is the home directory and `$NAME` or `${NAME}` an
            environment variable (unless something of that very name is there); a `file://` URL; any other URL, in
            which variables are replaced as well; or `pipe:COMMAND`, which a shell will read.

    Returns:
        An absolute local path, the URL or the command. Patterns in it stay what they are.
    """
    text = str(place)
    if text.startswith(PIPE):
        return text
    if is_remote(text):
        return os.path.expandvars(text)
    return str(expanded(text).absolute())


def expanded(path: str | Path) -> Path:
    """A local path with home directory and environment variables in their places, as `resolve`; relative if it was."""
    text = str(path)
    for scheme in LOCAL:
        text = text.removeprefix(scheme)
    if "$" in text and not exists(text):
        text = os.path.expandvars(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:  # `~name` of nobody here
        return Path(text)


def exists(path: str | Path) -> bool:
    """Whether there is anything of that name; a pattern may be too long for one, which pathlib raises for."""
    try:
        return Path(path).exists()
    except OSError:
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is a folder of that name, as `exists`."""
    return exists(path) and Path(path).is_dir()


def is_file(path: str | Path) -> bool:
    """Whether there is a file of that name, as `exists`."""
    return exists(path) and Path(path).is_file()


def inside(place: str, name: str) -> str:
    """Place of a file or folder in a set; a URL's query, such as a signature, stays at its end.

    Args:
        place: the set's folder, as a user writes it.
        name: a relative path, e.g. `test/nshards.txt`.
    """
    folder, mark, query = resolve(place).partition("?") if place.startswith(WEB) else (resolve(place), "", "")
    return f"{folder.rstrip('/')}/{name}{mark}{query}"

"""Places as users write them: local paths, URLs and `pipe:` commands. Every place that is named is read here."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote

PIPE = "pipe:"
_LOCAL = re.compile(r"(?:file|local):(?://(?:localhost(?=/))?|(?=/))", re.IGNORECASE)
"""Begins the URL of a local path: `file:///x`, `file://localhost/x`, `file:/x`."""
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
WEB = ("http://", "https://")


def is_remote(place: str) -> bool:
    """Whether a place is not on a local disk, including the output of a `pipe:` command."""
    return place.startswith(PIPE) or ("://" in place and not _LOCAL.match(place))


def resolve(place: str | Path) -> str:
    """A place in full, so that it means the same in another directory and on another node.

    Args:
        place: a local path, absolute or not, in which `~` is the home directory and `$NAME` or `${NAME}` an
            environment variable (unless something of that very name is there); a `file://` URL, whose percent codes
            are signs (with the same exception); any other URL, in which variables are replaced as well; or
            `pipe:COMMAND`, which a shell will read.

    Returns:
        An absolute local path, the URL or the command. Patterns in it stay what they are.
    """
    text = str(place)
    if text.startswith(PIPE):
        return text
    if is_remote(text):
        scheme, mark, rest = text.partition("://")
        return f"{scheme.lower()}{mark}{os.path.expandvars(rest)}"
    return str(expanded(text).absolute())


def expanded(path: str | Path) -> Path:
    """A local path with home directory and environment variables in their places, as `resolve`; relative if it was."""
    text = str(path)
    if (scheme := _LOCAL.match(text)) is not None:
        text = _unquoted(text[scheme.end() :])
    if "$" in text and not exists(text):
        text = os.path.expandvars(text)
    try:
        return Path(text).expanduser()
    except RuntimeError:  # `~name` of nobody here
        return Path(text)


def unset(place: str | Path) -> str:
    """What a message adds of a place that is not there: its variables that are not set; '' if all are.

    A `$` in the name of a folder or file that is there begins no variable.
    """
    text, parts, names = str(place), list[str](), list[str]()
    for part in [] if text.startswith(PIPE) else text.split("/"):
        parts.append(part)
        if "$" in part and not exists("/".join(parts)):
            names += [first or second for first, second in _VARIABLE.findall(part)]
    missing = [f"${name}" for name in dict.fromkeys(names) if name not in os.environ]
    if not missing:
        return ""
    return f" ({', '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set)"


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


def _unquoted(path: str) -> str:
    """The path of a URL with signs in place of percent codes; a folder or file that is there as written stays."""
    parts: list[str] = []
    for part in path.split("/"):
        parts.append(part if "%" not in part or exists("/".join([*parts, part])) else unquote(part))
    return "/".join(parts)


def inside(place: str, name: str) -> str:
    """Place of a file or folder in a set; a URL's query, such as a signature, stays at its end.

    Args:
        place: the set's folder, as a user writes it.
        name: a relative path, e.g. `test/nshards.txt`.
    """
    folder, mark, query = resolve(place).partition("?") if place.startswith(WEB) else (resolve(place), "", "")
    return f"{folder.rstrip('/')}/{name}{mark}{query}"

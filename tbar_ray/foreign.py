"""What a file is that is not what it was given for, told by its first bytes."""

from __future__ import annotations

from typing import Final

MARK: Final = b"\xef\xbb\xbf"
"""What some editors write before UTF-8 text."""
PAGE: Final = "a web page, such as a login: download the file itself"
BINARY: Final = (
    (b"\x1f\x8b", "compressed by gzip: unpack it"),
    (b"BZh", "compressed by bzip2: unpack it"),
    (b"\xfd7zXZ", "compressed by xz: unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
)
"""First bytes of files that stand in the place of others, and what to do."""
TEXT: Final = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file: fetch it with `git lfs pull`"),
    (b"<!doctype html", PAGE),
    (b"<html", PAGE),
    (b"<?xml", "an answer of a web server, not the file: download the file itself"),
)
"""How texts begin that do so, in lower case, after white space."""


def foreign(start: bytes) -> str | None:
    """What a file is that begins like that, to follow "is"; None if it is none of these."""
    text = start.removeprefix(MARK).lstrip().lower()
    found = [what for mark, what in BINARY if start.startswith(mark)]
    found += [what for mark, what in TEXT if text.startswith(mark)]
    return next(iter(found), None)

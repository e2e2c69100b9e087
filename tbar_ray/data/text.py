"""Bytes of text files to text, whatever editor wrote them."""

from __future__ import annotations

import codecs
import re

from tbar_ray.errors import DataError, TbarError

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LINE_END = re.compile(r"\r\n|\n|\r")


def decode_text(data: bytes, name: str, kind: type[TbarError] = DataError) -> str:
    """Text of a file in UTF-8, or in what its byte order mark says; the mark is no part of it.

    Args:
        data: the file's bytes.
        name: the file, for errors.
        kind: of errors.

    Raises:
        TbarError: of that kind, if it is in another encoding, or no text.
    """
    encoding, rest = _marked(data)
    try:
        text = rest.decode(encoding)
    except UnicodeDecodeError as error:
        line = len(_LINE_END.findall(rest[: error.start].decode(encoding, "replace"))) + 1
        raise kind(
            f"{name} line {line}: not {encoding.upper()} text; convert the file, e.g. with "
            f"`iconv -f WINDOWS-1252 -t UTF-8`"
        ) from None
    if "\0" in text:
        raise kind(
            f"{name}: has zero bytes, as UTF-16 without a byte order mark has; convert the file, e.g. with "
            f"`iconv -f UTF-16LE -t UTF-8`"
        )
    return text


def decode_caption(data: bytes) -> str:
    """Text of a caption; of those from the web, what is not UTF-8 is mostly Windows-1252.

    A caption in UTF-8 that is cut within a character keeps all others. One with zero bytes is UTF-16 without a mark
    where every second byte of most signs is zero; other zero bytes are no part of it.
    """
    encoding, rest = _marked(data)
    if encoding == "utf-8" and b"\0" in rest:
        zeros = {"utf-16-le": rest[1::2].count(0), "utf-16-be": rest[::2].count(0)}
        likely = max(zeros, key=lambda name: zeros[name])
        if 4 * zeros[likely] > len(rest) and not 8 * min(zeros.values()) > len(rest):
            return rest.decode(likely, "replace").replace("\0", "")
        rest = rest.replace(b"\0", b"")
    try:
        return rest.decode(encoding)
    except UnicodeDecodeError:
        text = rest.decode(encoding, "replace")
        damaged = any(ord(letter) > 127 and letter != "\ufffd" for letter in text)
        return text if damaged or encoding != "utf-8" else rest.decode("windows-1252", "replace")


def lines_of(text: str) -> list[str]:
    """Lines of a text, stripped, without empty ones; whatever ends them."""
    return [line.strip() for line in _LINE_END.split(text) if line.strip()]


def _marked(data: bytes) -> tuple[str, bytes]:
    """The encoding that a byte order mark says, UTF-8 without one, and the bytes behind it."""
    return next(((name, data[len(mark) :]) for mark, name in _MARKS if data.startswith(mark)), ("utf-8", data))

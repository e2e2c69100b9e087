from __future__ import annotations

import codecs

import pytest

from tbar_ray.data.text import decode_caption, decode_text, lines_of
from tbar_ray.errors import DataError, SpecError

TEXT = "red circle\r\ncafé\r\n"

ENCODED = {
    "plain": TEXT.encode(),
    "utf-8 with a mark": codecs.BOM_UTF8 + TEXT.encode(),
    "utf-16 of Windows": codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
    "utf-16 of others": codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    "utf-32": codecs.BOM_UTF32_LE + TEXT.encode("utf-32-le"),
}


@pytest.mark.parametrize("data", ENCODED.values(), ids=ENCODED)
def test_whatever_editor_wrote_it(data: bytes) -> None:
    assert decode_text(data, "x.txt") == TEXT
    assert decode_caption(data) == TEXT
    assert lines_of(decode_text(data, "x.txt")) == ["red circle", "café"]


@pytest.mark.parametrize("kind", [DataError, SpecError])
def test_another_encoding_names_its_line(kind: type[DataError]) -> None:
    with pytest.raises(kind, match=r"^x\.txt line 2: not UTF-8 text; convert the file[^\n]*$"):
        decode_text(TEXT.encode("latin-1"), "x.txt", kind)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("café – “naïve”".encode("windows-1252"), "café – “naïve”"),
        ("café au lait".encode()[:-1] + b"\xc3", "café au lai\ufffd"),
        (b"caf\xe9", "café"),
        ("a café".encode("utf-16-le"), "a café"),
        ("a café".encode("utf-16-be"), "a café"),
        (b"a red\0circle\0", "a redcircle"),
        (b"a red circle" + bytes(20), "a red circle"),
    ],
)
def test_captions_of_the_web(data: bytes, expected: str) -> None:
    assert decode_caption(data) == expected


def test_only_line_ends_end_lines() -> None:
    assert lines_of(" a\u2028b \n\n\r c\x0bd\x85e\r\n") == ["a\u2028b", "c\x0bd\x85e"]


def test_zero_bytes_are_no_text() -> None:
    for encoding in ("utf-16-le", "utf-16-be"):
        with pytest.raises(
            DataError, match=r"^x\.txt: has zero bytes, as UTF-16 without a byte order mark has; [^\n]*$"
        ):
            decode_text("red circle\n".encode(encoding), "x.txt")

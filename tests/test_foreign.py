"""What stands in the place of a file is told by its first bytes, and a file's own beginning is not mistaken for it."""

from __future__ import annotations

import gzip
import io

import pytest
import torch
from safetensors.torch import save

from tbar_ray.foreign import BINARY, PAGE, TEXT, foreign


def test_each_is_told_whatever_its_case_and_what_stands_before_it() -> None:
    for mark, what in (*BINARY, *TEXT):
        assert foreign(mark + b" rest") == what
    for mark, what in TEXT:
        assert foreign(b"\n " + mark.upper()) == what
    assert foreign(gzip.compress(b"x")) == "compressed by gzip: unpack it"
    assert foreign(b"\xef\xbb\xbf\n <!DOCTYPE HTML>") == foreign(b"<html>") == PAGE
    assert foreign(b"") is None


@pytest.mark.parametrize("size", [1, 3, 60])
def test_a_checkpoint_a_shard_and_a_text_are_none_of_them(size: int) -> None:
    file = io.BytesIO()
    torch.save({"a": torch.ones(size)}, file)
    assert foreign(file.getvalue()) is None
    assert foreign(save({"<": torch.ones(size), "bzh": torch.ones(size)})) is None
    for text in (b"<b>|c\n", b"bzhydukh\ncat\n"):
        assert foreign(text) is None
    assert foreign(b"00000.jpg".ljust(257, b"\0") + b"ustar") is None

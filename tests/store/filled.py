"""What the tests of the store put into one, and what they do to it."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from tbar_ray.errors import StoreError
from tbar_ray.store.store import Store


def filled(store: Store, text: str = "hello") -> Path:
    """Return a folder of scratch with two files."""
    folder = store.scratch()
    (folder / "a.txt").write_text(text)
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "deep" / "er" / "b.bin").write_bytes(bytes(range(256)))
    return folder


def poke(store: Store, path: str, content: bytes) -> None:
    """Write a file past the store, as a person or a killed process might."""
    system, root = fsspec.core.url_to_fs(store.url)
    system.makedirs(f"{root}/{path}".rsplit("/", 1)[0], exist_ok=True)
    system.pipe_file(f"{root}/{path}", content)


def flip(store: Store, path: str, place: int = 0) -> None:
    """Change one bit of a file in place, as a bad disk might."""
    system, root = fsspec.core.url_to_fs(store.url)
    content = bytearray(system.cat_file(f"{root}/{path}"))
    content[place] ^= 1
    system.pipe_file(f"{root}/{path}", bytes(content))


def one_line(error: pytest.ExceptionInfo[StoreError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)

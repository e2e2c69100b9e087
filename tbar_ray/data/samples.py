"""The interface of a set of samples: choosing and reading them, wherever they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class Samples(Protocol):
    """Images by position, each with a unique key and perhaps a caption and a label; `Corpus` is one."""

    @property
    def keys(self) -> Sequence[str]:
        """Keys, unique, in the order of positions."""

    def __len__(self) -> int: ...

    def image_bytes(self, i: int) -> bytes:
        """Return the encoded image of sample `i`."""

    def caption(self, i: int) -> str | None:
        """Return the caption of sample `i`, None if it has none."""

    def metadata(self, i: int) -> Mapping[str, Any]:
        """Return the metadata of sample `i`; empty if there are none."""

    def label(self, i: int) -> str | None:
        """Return the class name of sample `i`, None if unknown."""

    def class_index(self, i: int) -> int | None:
        """Return the class index of sample `i` where the data number classes, else None."""

    def index_of(self, key: str) -> int:
        """Return the position of a key."""

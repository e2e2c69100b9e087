"""The interface of a set of samples: choosing and reading them, wherever they are stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

ADD_LABELS: Final = "add 'label' to the samples' json"
"""What to do where class labels are needed and there are none."""


class Samples(Protocol):
    """Images by position, each with a unique key and perhaps a caption and a label; `Corpus` is one."""

    @property
    def keys(self) -> Sequence[str]:
        """Keys, unique, in the order of positions."""

    def __len__(self) -> int: ...

    def image_bytes(self, i: int) -> bytes:
        """Image of sample `i` as the bytes of its file, not decoded."""

    def caption(self, i: int) -> str | None:
        """Caption of sample `i`; None if it has none."""

    def metadata(self, i: int) -> Mapping[str, Any]:
        """Metadata of sample `i`; empty if there are none."""

    def label(self, i: int) -> str | None:
        """Class name of sample `i`; None if it is unknown."""

    def class_index(self, i: int) -> int | None:
        """Class number of sample `i`, from 0, where the data number classes; else None."""

    def index_of(self, key: str) -> int:
        """Position of a key, from 0."""

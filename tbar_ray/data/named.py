"""Samples whose class numbers are given the names that a data set lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError


class NamedSamples:
    """Samples of a labelled data set, whose labels are class names instead of numbers; `Samples`.

    Args:
        samples: samples with class indices.
        names: the classes that the indices number.
    """

    def __init__(self, samples: Samples, names: Sequence[str]) -> None:
        self.keys = samples.keys
        self._samples, self._names = samples, names

    def __len__(self) -> int:
        return len(self.keys)

    def image_bytes(self, i: int) -> bytes:
        """Image of sample `i` as the bytes of its file, not decoded."""
        return self._samples.image_bytes(i)

    def caption(self, i: int) -> str | None:
        """Caption of sample `i`; None if it has none."""
        return self._samples.caption(i)

    def metadata(self, i: int) -> Mapping[str, Any]:
        """Metadata of sample `i`; empty if there are none."""
        return self._samples.metadata(i)

    def label(self, i: int) -> str | None:
        """Class of sample `i` by the name of its number; its own label where it has no number.

        Raises:
            DataError: if its number is none of the classes.
        """
        index = self._samples.class_index(i)
        if index is None:
            return self._samples.label(i)
        if not 0 <= index < len(self._names):
            raise DataError(f"sample {self.keys[i]!r} has class {index}, but there are {len(self._names)} classes")
        return self._names[index]

    def class_index(self, i: int) -> int | None:  # noqa: ARG002 - the name says more
        """Always None: the numbers index this data set's classes, not the reader's."""
        return None

    def index_of(self, key: str) -> int:
        """Position of a key, from 0."""
        return self._samples.index_of(key)

"""Some samples of a set, as a set of their own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tbar_ray.data.samples import Samples


class ChosenSamples:
    """The samples at some positions of another set, in the order given; `Samples`.

    Args:
        samples: the other set.
        positions: each at most once.
    """

    def __init__(self, samples: Samples, positions: Sequence[int]) -> None:
        self._samples, self._positions = samples, tuple(positions)
        self.keys = tuple(samples.keys[position] for position in self._positions)
        self._rows = {key: row for row, key in enumerate(self.keys)}

    def __len__(self) -> int:
        return len(self.keys)

    def image_bytes(self, i: int) -> bytes:
        """Image of sample `i` as the bytes of its file, not decoded."""
        return self._samples.image_bytes(self._positions[i])

    def caption(self, i: int) -> str | None:
        """Caption of sample `i`; None if it has none."""
        return self._samples.caption(self._positions[i])

    def metadata(self, i: int) -> Mapping[str, Any]:
        """Metadata of sample `i`; empty if there are none."""
        return self._samples.metadata(self._positions[i])

    def label(self, i: int) -> str | None:
        """Class name of sample `i`; None if it is unknown."""
        return self._samples.label(self._positions[i])

    def class_index(self, i: int) -> int | None:
        """Class number of sample `i`, where the set numbers classes; else None."""
        return self._samples.class_index(self._positions[i])

    def index_of(self, key: str) -> int:
        """Position of a key among the chosen ones, from 0."""
        return self._rows[key]

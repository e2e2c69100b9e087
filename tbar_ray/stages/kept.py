"""Evaluation images, decoded and stamped once in a process: further stages that run in it find them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from tbar_ray.data.cache import bytes_set

if TYPE_CHECKING:
    from tbar_ray.evaluation.scores import Split

LIMIT = "TBAR_KEEP_GB"
DEFAULT_GB = 1.0


class KeptSplits:
    """Splits by what decided them; those that were used longest ago go once they take more than `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._splits: OrderedDict[Hashable, Split] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Split]) -> Split:
        """Return the split of a key, made where it is not kept. Its tensors must not be written to."""
        split = self._splits.pop(key, None) or make()
        self._splits[key] = split
        while sum(map(_bytes, self._splits.values())) > self._limit:
            self._splits.popitem(last=False)
        return split


def _bytes(split: Split) -> int:
    return sum(tensor.nbytes for tensor in (split.clean, split.triggered, split.labels))


def kept_limit() -> int:
    """Return how many bytes of evaluation images a process keeps: `$TBAR_KEEP_GB`, 1 GB unless set.

    Raises:
        SpecError: if it is no positive number.
    """
    return bytes_set(LIMIT, DEFAULT_GB)

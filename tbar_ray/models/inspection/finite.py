"""Counting what is not a finite number in the tensors of a file, a few megabytes at a time."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from tbar_ray.models.formats.tensor_info import TensorInfo

EXPONENTS: Final[dict[str, tuple[type[np.unsignedinteger[Any]], int, int]]] = {
    "float64": (np.uint64, 0x7FF0000000000000, 0x000FFFFFFFFFFFFF),
    "float32": (np.uint32, 0x7F800000, 0x007FFFFF),
    "float16": (np.uint16, 0x7C00, 0x03FF),
    "bfloat16": (np.uint16, 0x7F80, 0x007F),
}
"""Bits of exponent and fraction. A number with all exponent bits is infinity, or NaN where its fraction is not 0."""
PIECE: Final = 1 << 21
"""Bytes that are read at once: they stay in the processor's cache."""


def not_finite(path: Path, tensors: Mapping[str, TensorInfo]) -> dict[str, tuple[int, int]]:
    """NaN and infinities of the tensors that have any, by name."""
    found: dict[str, tuple[int, int]] = {}
    buffer = bytearray(PIECE)
    with path.open("rb", buffering=0) as file:
        for name, info in tensors.items():
            if info.start is None or info.start < 0 or info.dtype not in EXPONENTS:
                continue
            kind, exponent, fraction = EXPONENTS[info.dtype]
            file.seek(info.start)
            left, nan, infinite = info.count * np.dtype(kind).itemsize, 0, 0
            while left > 0 and (got := file.readinto(memoryview(buffer)[: min(left, PIECE)])):
                bits = np.frombuffer(buffer, kind, got // np.dtype(kind).itemsize)
                special = (bits & kind(exponent)) == kind(exponent)
                if special.any():
                    nans = int(np.count_nonzero(bits[special] & kind(fraction)))
                    nan, infinite = nan + nans, infinite + int(np.count_nonzero(special)) - nans
                left -= got
            if nan or infinite:
                found[name] = (nan, infinite)
    return found

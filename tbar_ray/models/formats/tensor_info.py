"""What is known of a tensor without reading it. Imports no torch: that takes seconds and half a gigabyte."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from math import prod
from typing import Final

BYTES: Final = {
    "float64": 8, "int64": 8, "float32": 4, "int32": 4, "float16": 2, "bfloat16": 2, "int16": 2, "int8": 1, "uint8": 1,
    "bool": 1,
}  # fmt: skip
"""Bytes of a number of each type."""
SAFETENSORS: Final = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8", "U8": "uint8", "BOOL": "bool",
}  # fmt: skip
"""Types by safetensors' names."""


@dataclass(frozen=True)
class TensorInfo:
    """Type and shape of a tensor in a file, and where its numbers lie.

    Attributes:
        dtype: torch's name of the type, e.g. `float32`.
        shape: its shape.
        start: first byte in the file; None where that is not known.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int | None = None

    @property
    def T(self) -> TensorInfo:  # noqa: N802 - torch's name
        """The transpose of a matrix."""
        return replace(self, shape=self.shape[::-1])

    def chunk(self, count: int) -> tuple[TensorInfo, ...]:
        """Equal parts along the first dimension."""
        return (replace(self, shape=(self.shape[0] // count, *self.shape[1:])),) * count

    @property
    def count(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)


def is_tensor(value: object) -> bool:
    """Whether a value is a tensor of torch, or what is known of one."""
    torch = sys.modules.get("torch")
    return isinstance(value, TensorInfo) or (torch is not None and isinstance(value, torch.Tensor))

"""Writing safetensors a piece at a time, so that no more than a piece of a model is in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import IO, Final

import torch
from torch import Tensor

from tbar_ray.models.formats.replacing import replacing
from tbar_ray.models.formats.tensor_info import SAFETENSORS

PIECE: Final = 1 << 22
"""Numbers that are worked on at once: 16 MB in float32."""
DTYPES: Final = {getattr(torch, name): short for short, name in SAFETENSORS.items()}


@contextmanager
def safetensors_stream(
    path: Path, tensors: Mapping[str, tuple[torch.dtype, torch.Size]], metadata: Mapping[str, str]
) -> Iterator[IO[bytes]]:
    """Yield a file that takes the numbers of `tensors`, in their order, by `append`; it appears when all are there.

    Raises:
        OSError: if it cannot be written.
    """
    header: dict[str, object] = {"__metadata__": dict(metadata)} if metadata else {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + prod(shape) * dtype.itemsize
        header[name] = {"dtype": DTYPES[dtype], "shape": list(shape), "data_offsets": [start, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with replacing(path) as part, part.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        yield file


def append(file: IO[bytes], value: Tensor) -> None:
    """Write the numbers of a tensor."""
    file.write(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)


def pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield the same pieces of tensors of one shape, flat."""
    flat = [tensor.detach().reshape(-1) for tensor in tensors]
    for start in range(0, len(flat[0]), PIECE):
        yield tuple(tensor[start : start + PIECE] for tensor in flat)

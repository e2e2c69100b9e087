"""Shared memory between readers and the training process of one node.

A batch of images that goes through Ray's object store is copied once and costs several messages, which at 64 px is as
much work as a third of the decoding. Readers on the training's node therefore decode straight into memory that the
training process has mapped as well.
"""

from __future__ import annotations

import mmap
import os
import uuid
import weakref
from collections import deque
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Place(NamedTuple):
    """Where a process of the same machine and user finds the memory: path, name that it must have, bytes of a piece."""

    path: str
    name: str
    size: int


class Slots:
    """A number of equally large pieces of anonymous memory; a piece is free again once nobody looks at it.

    The memory has no name in any file system: it is gone with the last process that maps it, however that ends.

    Args:
        count: number of pieces.
        size: bytes of a piece.

    Attributes:
        place: by which a reader finds it; None where the system has no such memory, and then no piece is ever free.
    """

    def __init__(self, count: int, size: int) -> None:
        self.size = size
        self.place: Place | None = None
        self._free: deque[int] = deque()
        self._descriptor: int | None = None
        if hasattr(os, "memfd_create"):
            name = f"tbar-stream-{uuid.uuid4().hex}"
            self._descriptor = os.memfd_create(name)
            os.ftruncate(self._descriptor, count * size)
            self._memory = mmap.mmap(self._descriptor, count * size)
            self._free.extend(range(count))
            self.place = Place(f"/proc/{os.getpid()}/fd/{self._descriptor}", name, size)

    def take(self) -> int | None:
        """Return a free piece, or None where all are in use."""
        return self._free.popleft() if self._free else None

    def release(self, slot: int) -> None:
        """Give back a piece that nobody has looked at."""
        self._free.append(slot)

    def array(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return a piece as an array; it is free again when the array and all views of it are gone."""
        whole = np.frombuffer(self._memory, np.uint8, int(np.prod(shape)), slot * self.size)
        weakref.finalize(whole, self._free.append, slot).atexit = False  # every view of it holds it
        return whole.reshape(shape)

    def close(self) -> None:
        """Let go of the memory; arrays that are still in use keep it."""
        self._free.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def piece(place: Place, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Return a piece as a uint8 array, in another process than its owner's; None if that is on another machine."""
    memory = _mapped(place)
    if memory is None:
        return None
    return np.frombuffer(memory, np.uint8, int(np.prod(shape)), slot * place.size).reshape(shape)


@lru_cache(maxsize=4)
def _mapped(place: Place) -> mmap.mmap | None:
    try:
        if place.name not in str(Path(place.path).readlink()):
            return None  # a file of another process, which has the owner's number on this machine
        with Path(place.path).open("r+b") as file:
            return mmap.mmap(file.fileno(), 0)
    except (OSError, ValueError):
        return None

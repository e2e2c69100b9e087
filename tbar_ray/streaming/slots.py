"""Shared memory between readers and the training process of one node.

Sending a batch of images through Ray's object store costs a copy and several messages, at 64 px as much as a third of
the decoding. Readers on the training node therefore decode directly into memory that the training process has also
mapped.
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

IN_FLIGHT_PER_READER = 4
"""Batches of a stream that each of its readers may have been asked for."""


def slots_for(readers: int) -> int:
    """Slots of a stream: for the batches in flight, the one being trained on, and the one copied ahead."""
    return IN_FLIGHT_PER_READER * readers + 2


class Place(NamedTuple):
    """Location of the memory for processes of the same machine and user: path, expected name, bytes per slot."""

    path: str
    name: str
    size: int


class Slots:
    """A fixed number of equally sized slots in anonymous memory; a slot is free again once no array refers to it.

    The memory has no name in any file system: it is released with the last process that maps it, however that ends.

    Args:
        count: number of slots.
        size: bytes per slot.

    Attributes:
        place: how readers find the memory; None if the system has no such memory, in which case no slot is ever free.
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
        """Take a free slot, or None if all are in use."""
        return self._free.popleft() if self._free else None

    def release(self, slot: int) -> None:
        """Give back a slot that no array was created for."""
        self._free.append(slot)

    def array(self, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """View a slot as a uint8 array; the slot is free again when the array and all its views are gone."""
        whole = np.frombuffer(self._memory, np.uint8, int(np.prod(shape)), slot * self.size)
        weakref.finalize(whole, self._free.append, slot).atexit = False  # every view keeps it alive
        return whole.reshape(shape)

    def close(self) -> None:
        """Release the memory; arrays still in use keep it alive."""
        self._free.clear()
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def piece(place: Place, slot: int, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Map a slot as a uint8 array in another process than its owner's; None if the owner is on another machine."""
    memory = _mapped(place)
    if memory is None:
        return None
    return np.frombuffer(memory, np.uint8, int(np.prod(shape)), slot * place.size).reshape(shape)


@lru_cache(maxsize=4)
def _mapped(place: Place) -> mmap.mmap | None:
    try:
        if place.name not in str(Path(place.path).readlink()):
            return None  # another process on this machine has the owner's process id
        with Path(place.path).open("r+b") as file:
            return mmap.mmap(file.fileno(), 0)
    except (OSError, ValueError):
        return None

"""Peak memory of a piece of work."""

from __future__ import annotations

import ctypes
import gc
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil
import torch

INTERVAL = 0.02
"""Seconds between measurements of a process's memory."""


class PeakMemory:
    """Measures, while it is open, how far memory rises over what was in use when it was opened.

    On a GPU that is what the allocator handed out; on the CPU the resident memory of the process, measured 50 times a
    second, so that a shorter peak may be missed. Memory that earlier work has freed is first returned to the system
    (with glibc): its reuse would not be measured.
    """

    def __init__(self, device: torch.device) -> None:
        self.peak = 0
        """Bytes."""
        self._device = device
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._before = 0

    def __enter__(self) -> Self:
        if self._device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self._device)
            self._before = torch.cuda.memory_allocated(self._device)
            return self
        _give_back()
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            self.peak = torch.cuda.max_memory_allocated(self._device) - self._before
            return
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.is_set():
            self.peak = max(self.peak, self._process.memory_info().rss - self._before)
            self._ended.wait(INTERVAL)


def _give_back() -> None:
    """Give freed memory of the C library's heap back to the system, if the library supports it."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)

"""CPU, memory and GPU of this process during a training, sampled so that its run in MLflow can show them."""

from __future__ import annotations

import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil

from tbar_ray.periodic import Periodic

EVERY = 2.0
"""Seconds between samples, at first."""
MOST = 120
"""Samples that are kept: at this many every other one is left out, and the time between samples doubles."""


class ProcessSamples(Periodic):
    """Takes samples of this process in a thread of its own while it is open, and one at the end.

    Other processes of the stage, such as a training's readers and further workers, are not in them.

    Args:
        every: seconds between samples, at first.
        most: samples that are kept; at least 2.

    Attributes:
        columns: the samples, by name: `seconds` since the beginning; `cpu_seconds` that the process has computed since
            then; `memory`, its resident bytes; of the process's first GPU, once it uses one, `gpu_memory`, the bytes in
            use on it, and `gpu_utilisation` in [0, 1], where NVIDIA's library (nvidia-ml-py) is installed. A value that
            cannot be had is None.
    """

    def __init__(self, every: float = EVERY, most: int = MOST) -> None:
        super().__init__(every, "process samples")
        self._most = most
        names = ("seconds", "cpu_seconds", "memory", "gpu_memory", "gpu_utilisation")
        self.columns: dict[str, list[float | None]] = {name: [] for name in names}
        self._process = psutil.Process()

    def __enter__(self) -> Self:
        self._started, self._computed = time.perf_counter(), self._cpu_seconds()
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._sample()

    def look(self) -> bool:
        """Take a sample."""
        self._sample()
        return True

    def _sample(self) -> None:
        if len(self.columns["seconds"]) == self._most:
            self.every *= 2
            for values in self.columns.values():
                del values[::2]
        memory, utilisation = _gpu()
        sample = (
            round(time.perf_counter() - self._started, 3),
            round(self._cpu_seconds() - self._computed, 3),
            self._process.memory_info().rss,
            memory,
            utilisation,
        )
        for values, value in zip(self.columns.values(), sample, strict=True):
            values.append(value)

    def _cpu_seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)


def _gpu() -> tuple[int | None, float | None]:
    """Bytes in use on this process's first GPU, and its utilisation; of a process that uses none, None."""
    import torch  # the coordinator, which runs no stage, imports this module

    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]  # to ask would take memory on it
        return None, None
    used = None
    with suppress(Exception):  # a training must not miss its samples; without NVIDIA's library the share is not known
        free, total = torch.cuda.mem_get_info(0)
        used = total - free
        return used, torch.cuda.utilization(0) / 100
    return used, None

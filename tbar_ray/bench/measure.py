"""Measuring two ways of doing one thing in alternation, and saying how they compare."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

Run = Callable[[], float | None]
"""Does the work once; returns the seconds that count, or None for all that it took."""


@dataclass(frozen=True)
class Comparison:
    """One way against another.

    Attributes:
        name: what is compared, e.g. 'stream 64 px'.
        work: what each run does, in words.
        unit: what is counted, e.g. 'images'.
        amount: how many units a run does.
        ours: seconds of our runs.
        peer: what it is compared with, in words.
        theirs: seconds of the peer's runs; the i-th ran right after our i-th.
        at_least: the ratio that it must reach; None where none is asked for.
    """

    name: str
    work: str
    unit: str
    amount: float
    ours: tuple[float, ...]
    peer: str
    theirs: tuple[float, ...]
    at_least: float | None = None

    @property
    def ratios(self) -> tuple[float, ...]:
        """Return how many times faster than the peer we were, pair by pair."""
        return tuple(their / our for our, their in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """Return the median ratio."""
        return median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Return whether the median ratio is what it must be; None where nothing is asked for."""
        return None if self.at_least is None else self.ratio >= self.at_least

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {
            "name": self.name,
            "work": self.work,
            "peer": self.peer,
            "unit": self.unit,
            "amount": self.amount,
            "ours_seconds": list(self.ours),
            "peer_seconds": list(self.theirs),
            "ours_per_second": self.amount / median(self.ours),
            "peer_per_second": self.amount / median(self.theirs),
            "ratio": self.ratio,
            "ratio_least": min(self.ratios),
            "ratio_largest": max(self.ratios),
            "at_least": self.at_least,
            "reached": self.reached,
        }


@dataclass(frozen=True)
class Figure:
    """One number that must not pass a limit.

    Attributes:
        name: what is measured.
        work: on what, in words.
        value: the number.
        unit: of the number; '' for a ratio.
        limit: what it is held against; None where nothing is asked for.
        upper: whether the limit is the largest allowed value or the least.
    """

    name: str
    work: str
    value: float
    unit: str = ""
    limit: float | None = None
    upper: bool = True

    @property
    def reached(self) -> bool | None:
        """Return whether the number keeps to its limit."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.upper else self.value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {**vars(self), "reached": self.reached}


class Result(Protocol):
    """A measurement that is shown."""

    @property
    def name(self) -> str:
        """Return what was measured."""
        ...

    @property
    def work(self) -> str:
        """Return on what, in words."""
        ...

    @property
    def reached(self) -> bool | None:
        """Return whether it is what was asked for; None where nothing is."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        ...


def seconds_of(run: Run) -> float:
    """Run once and return the seconds that count."""
    started = time.perf_counter()
    own = run()
    return time.perf_counter() - started if own is None else own


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has done what it was told; a CPU has."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(*runs: Run, repeats: int) -> tuple[tuple[float, ...], ...]:
    """Run each once unmeasured, then all in alternation; what goes first changes from round to round.

    Returns:
        The seconds of every run, in the order given.
    """
    for run in runs:
        run()
    found: list[list[float]] = [[] for _ in runs]
    for number in range(repeats):
        for place in range(len(runs)):
            turn = (number + place) % len(runs)
            found[turn].append(seconds_of(runs[turn]))
    return tuple(tuple(seconds) for seconds in found)


def machine() -> dict[str, Any]:
    """Return what the numbers were measured on."""
    import torch

    import tbar_ray

    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "tbar_ray": tbar_ray.__version__,
        "load": list(os.getloadavg()),
    }


def resident_memory() -> float:
    """Return the bytes that only this process and its Ray processes hold, without shared pages."""
    import psutil

    me = psutil.Process()
    found = [me, *me.children(recursive=True)]
    return float(sum(_own_bytes(process) for process in found))


def _own_bytes(process: Any) -> int:
    import psutil

    try:
        return int(process.memory_full_info().uss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return 0


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open() as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """Return 'median (least–largest)'."""
    return f"{form.format(median(values))} ({form.format(min(values))}–{form.format(max(values))})"

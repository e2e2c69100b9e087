"""Measuring alternatives in alternation, and reporting how they compare."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

from tbar_ray.processors import processors

if TYPE_CHECKING:
    import torch

Run = Callable[[], float | None]
"""Does the work once; returns the measured seconds, or None for its whole duration."""


@dataclass(frozen=True)
class Comparison:
    """One implementation against another.

    Attributes:
        name: what is compared, e.g. 'stream 64 px'.
        work: description of the work of each run.
        unit: unit of the amount, e.g. 'images'.
        amount: number of units per run.
        ours: seconds of our runs.
        peer: description of the alternative.
        theirs: seconds of the alternative's runs; the i-th ran right after our i-th.
        at_least: required ratio; None if there is no requirement.
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
        """Speed-ups over the alternative, pair by pair."""
        return tuple(their / our for our, their in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """Median speed-up."""
        return median(self.ratios)

    @property
    def reached(self) -> bool | None:
        """Whether the median ratio meets the requirement; None if there is none."""
        return None if self.at_least is None else self.ratio >= self.at_least

    def to_dict(self) -> dict[str, Any]:
        """All fields, rates and ratios, for JSON."""
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
    """One number with an optional limit.

    Attributes:
        name: what is measured.
        work: description of the work.
        value: the number.
        unit: unit of the number; '' for a ratio.
        limit: the allowed limit; None if there is no requirement.
        upper: whether the limit is the largest or the smallest allowed value.
    """

    name: str
    work: str
    value: float
    unit: str = ""
    limit: float | None = None
    upper: bool = True

    @property
    def reached(self) -> bool | None:
        """Whether the number is within its limit; None if there is none."""
        if self.limit is None:
            return None
        return self.value <= self.limit if self.upper else self.value >= self.limit

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return {**vars(self), "reached": self.reached}


class Result(Protocol):
    """A measurement that can be reported."""

    @property
    def name(self) -> str:
        """Name of the measured quantity."""
        ...

    @property
    def work(self) -> str:
        """Description of the work."""
        ...

    @property
    def reached(self) -> bool | None:
        """Whether the requirement is met; None if there is none."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        ...


def seconds_of(run: Run) -> float:
    """Run once; returns the seconds reported by the run, else its wall clock."""
    started = time.perf_counter()
    own = run()
    return time.perf_counter() - started if own is None else own


def wait_for(device: torch.device) -> None:
    """Wait until a GPU has finished its queued work; no effect on a CPU."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)


def alternate(*runs: Run, repeats: int) -> tuple[tuple[float, ...], ...]:
    """Run each once unmeasured, then all in alternation; the first one changes from round to round.

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
    """Processor, cores, GPU, software versions and current load of this machine."""
    import torch

    import tbar_ray

    return {
        "processor": _processor(),
        "cores": processors(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "tbar_ray": tbar_ray.__version__,
        "load": list(os.getloadavg()),
    }


def resident_memory() -> float:
    """Unshared memory in bytes of this process and its child processes, including Ray's."""
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
    """Format values as 'median (smallest–largest)'."""
    return f"{form.format(median(values))} ({form.format(min(values))}–{form.format(max(values))})"

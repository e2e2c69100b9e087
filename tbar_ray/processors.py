"""How many CPUs this process may use, not those that the machine has, and how its threads wait on them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

SLURM = ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE")
_PROCESS = Path("/proc/self/cgroup")
_CGROUPS = Path("/sys/fs/cgroup")


def processors() -> int:
    """Number of CPUs that this process may use, at least 1.

    It is the least of its affinity (`taskset`, `srun`), the quotas of its cgroups (containers, systemd) and what SLURM
    gave to the task.
    """
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = (max(1, int(quota)) for quota in _quotas())
    given = (int(text) for name in SLURM if (text := os.environ.get(name, "")).isdecimal() and int(text) > 0)
    return min([available, *quotas, *given])


def let_waiting_threads_sleep() -> None:
    """Have torch's threads sleep while they wait for each other, unless OMP_WAIT_POLICY says otherwise.

    Threads that spin take four times as long beside other work. OpenMP reads it as torch is imported: call this before.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _quotas() -> Iterator[float]:
    """Yield the CPUs that each cgroup over this process allows, where it sets a limit."""
    try:
        lines = _PROCESS.read_text().splitlines()
    except OSError:  # not Linux
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:  # version 2
            yield from _over(_CGROUPS, path, _version_2)
        elif "cpu" in controllers.split(","):
            yield from _over(_CGROUPS / "cpu", path, _version_1)


def _over(root: Path, path: str, read: Callable[[Path], float | None]) -> Iterator[float]:
    """Yield the quotas of a cgroup and of all that it lies in: each of them binds."""
    inner = root / path.strip("/")
    for folder in (inner, *inner.parents):
        if not folder.is_relative_to(root):
            return
        try:
            quota = read(folder)
        except (OSError, ValueError, ZeroDivisionError):  # the root of the hierarchy has no such file
            continue
        if quota is not None:
            yield quota


def _version_2(folder: Path) -> float | None:
    quota, period = (folder / "cpu.max").read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _version_1(folder: Path) -> float | None:
    quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return None if quota < 0 else quota / period

"""Temporary folders that tell whose they are, so that what a killed process left is removed by the next launch."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tbar_ray.errors import StoreError

PREFIX = "tbar-"
MARK = "TBAR_TEMPORARY_FOLDER"
"""Environment variable of processes that belong to a temporary folder, and end with it."""
SHORT = Path("/tmp")
"""Where folders go whose path has to be short."""
ENDING = 5.0
"""Seconds that killed processes may take to be dead."""
LOOKS = 0.02
"""Seconds between looks at them."""


_ending = threading.Event()
"""Whether this process ends and makes no more folders."""


def temporary_folder(purpose: str, within: Path | None = None) -> Path:
    """Make a folder `tbar-PURPOSE-PID-…` where temporary files go, or in `short_place`; whoever made it removes it.

    Raises:
        StoreError: if this process ends.
    """
    if _ending.is_set():
        raise StoreError("this process ends and makes no more temporary folders")
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-{os.getpid()}-", dir=within))


@contextmanager
def temporary(purpose: str) -> Iterator[Path]:
    """Make such a folder for a while."""
    folder = temporary_folder(purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def short_place(longest: int) -> Path:
    """Return where temporary files go if its path is no longer than that, else `SHORT`."""
    usual = Path(tempfile.gettempdir())
    return usual if len(os.fsencode(usual)) <= longest else SHORT


def own_folders() -> list[Path]:
    """Return the folders that this process made and has not removed."""
    return [folder for folder, owner in _folders() if owner == os.getpid()]


def make_no_more() -> None:
    """Refuse further folders, so that a process that ends can remove its own while other threads run on."""
    _ending.set()


def processes_of(folders: Collection[Path]) -> Iterator[psutil.Process]:
    """Yield the processes that belong to one of these folders, as their environment says."""
    return processes_with(MARK, {str(folder) for folder in folders})


def processes_with(variable: str, values: Collection[str]) -> Iterator[psutil.Process]:
    """Yield the processes, this one left out, in whose environment a variable has one of these values."""
    # not `psutil.process_iter`: of a number that is used again it yields the process that had it before
    for number in psutil.pids() if values else ():
        with suppress(psutil.Error, OSError):
            process = psutil.Process(number)
            if number != os.getpid() and process.environ().get(variable) in values:
                yield process


def remove(*folders: Path) -> None:
    """Remove folders, whatever of them is there."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def end(*folders: Path) -> None:
    """End the processes that belong to folders, and remove these."""
    belonging = list(processes_of(folders))
    for process in belonging:
        with suppress(psutil.Error):
            process.kill()
    deadline = time.monotonic() + ENDING
    while any(map(lives, belonging)) and time.monotonic() < deadline:  # what still ran would write there again
        time.sleep(LOOKS)
    remove(*folders)


def lives(process: psutil.Process) -> bool:
    """Whether a process runs. One that is dead may keep its number: a container's init may reap late, or never."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def is_alive(number: int) -> bool:
    """Whether the process of a number runs."""
    try:
        return lives(psutil.Process(number))
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # of somebody else
        return True


def remove_abandoned() -> int:
    """Remove the folders of this user whose makers are gone, and end the processes that these left; return how many."""
    abandoned = [folder for folder, owner in _folders() if not is_alive(owner)]
    end(*abandoned)
    return len(abandoned)


def _folders() -> Iterator[tuple[Path, int]]:
    """Yield the folders of this user, each with the process that made it."""
    for place in {Path(tempfile.gettempdir()), SHORT}:
        for folder in place.glob(f"{PREFIX}*-*-*"):
            owner = folder.name.split("-")[-2]
            with suppress(OSError):
                mine = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
                if mine and owner.isdigit():
                    yield folder, int(owner)

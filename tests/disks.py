"""Disks that are full or read-only: file systems of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.waiting import wait_until


@contextmanager
def disk(place: Path, megabytes: int) -> Iterator[None]:
    """Mount a small file system at a place; a test is skipped where that takes rights that this user lacks."""
    place.mkdir()
    options = f"size={megabytes}m"
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False)
    if made.returncode != 0:
        pytest.skip("mounting a file system takes rights that this user lacks")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_read_only(place: Path) -> None:
    """Let nothing more be written, once nobody has a file open for writing."""
    command = ["mount", "-o", "remount,ro", str(place)]
    wait_until(lambda: subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0)


def make_writable(place: Path) -> None:
    """Undo `make_read_only`."""
    subprocess.run(["mount", "-o", "remount,rw", str(place)], check=True)


def fill(place: Path) -> Path:
    """Take what room is left; return the file that does."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return filler

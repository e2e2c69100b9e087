"""Temporary folders that tell whose they are, so that what a killed process left is removed by the next launch."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

PREFIX = "tbar-"


def temporary_folder(purpose: str) -> Path:
    """Make a folder `tbar-PURPOSE-PID-…` where temporary files go; whoever made it removes it."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-{os.getpid()}-"))


@contextmanager
def temporary(purpose: str) -> Iterator[Path]:
    """Make such a folder for a while."""
    folder = temporary_folder(purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned() -> int:
    """Remove the folders of this user whose processes are gone; return how many."""
    removed = 0
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*-*-*"):
        owner = folder.name.split("-")[-2]
        with suppress(OSError):
            mine = folder.is_dir() and not folder.is_symlink() and folder.stat().st_uid == os.getuid()
            if mine and owner.isdigit() and not psutil.pid_exists(int(owner)):
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return removed

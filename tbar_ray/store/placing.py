"""How files and folders get their final names on a local disk, where other processes may be doing the same."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path


def place(source: Path, target: Path, stays: Callable[[], bool]) -> None:
    """Give a folder its place; what is there already stays if `stays` says so, and is replaced otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        if stays():
            shutil.rmtree(source, ignore_errors=True)  # another process was first
        else:  # half deleted, half copied or broken: not an artifact
            shutil.rmtree(target)
            source.rename(target)


def link(part: Path, target: Path) -> None:
    """Give a file its name, unlike a renaming only where there is none.

    Raises:
        FileExistsError: if there is one.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with target.open("xb") as file:
            file.write(part.read_bytes())


def share(file: Path, folder: Path) -> None:
    """Let those read a file who may read its new folder, as the umask says: some libraries write 0600."""
    file.chmod(folder.stat().st_mode & 0o666)

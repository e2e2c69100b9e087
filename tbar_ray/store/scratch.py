"""Scratch: folders on a store's own disk for what is not committed yet, named after the processes that made them."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import time
import uuid
from contextlib import suppress
from pathlib import Path

from tbar_ray.store.temporary import is_alive

ABANDONED_AFTER = 7 * 24 * 3600.0
"""Seconds after which scratch of another machine counts as left behind: its processes cannot be asked."""
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
PROBE = 1 << 20
"""Bytes that are written to learn whether there is room."""


def new_scratch(parent: Path) -> Path:
    """Make a folder of this process under `parent`.

    Raises:
        OSError: if it cannot be made.
    """
    folder = parent / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    folder.mkdir(parents=True)  # not mkdtemp, whose folders are closed to everyone else
    return folder


def remove_abandoned_scratch(parent: Path) -> int:
    """Remove the folders under `parent` of processes that have ended; return how many."""
    if not parent.is_dir():
        return 0
    abandoned = [folder for folder in parent.iterdir() if _is_abandoned(folder)]
    for folder in abandoned:
        shutil.rmtree(folder, ignore_errors=True)
    return len(abandoned)


def room_failure(scratch: Path, error: BaseException) -> OSError | None:
    """What keeps a folder of scratch from being written, by `error` or by a probe; None if nothing does."""
    cause = error if isinstance(error, OSError) and error.errno in UNWRITABLE else None
    probe = scratch / f".probe-{uuid.uuid4().hex}"
    try:
        probe.write_bytes(bytes(PROBE))
    except OSError as failure:
        cause = failure
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
    return cause


def _is_abandoned(scratch: Path) -> bool:
    """Whether the process that made a scratch folder has ended."""
    host, _, owner = scratch.name.rpartition("-")[0].rpartition("-")  # of HOST-PROCESS-…: a host's name may have dashes
    if host == socket.gethostname() and owner.isdigit():
        return not is_alive(int(owner))
    try:
        return time.time() - scratch.stat().st_mtime > ABANDONED_AFTER
    except OSError:  # its owner is just removing it
        return False

"""A lease on a campaign, or on a share of it: one launch at a time, and a killed one's expires."""

from __future__ import annotations

import os
import re
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from tbar_ray.errors import StoreError
from tbar_ray.store.campaigns import CAMPAIGNS, campaigns_of
from tbar_ray.store.store import Store
from tbar_ray.store.temporary import lives

BEAT = 5.0
"""Seconds between the signs of life of who holds a lease."""
EXPIRED = 30.0
"""Seconds without one after which a holder on another machine is asked about by watching."""
WATCHED = 2.5 * BEAT
"""Seconds that such a holder, whose clock may differ, has for a sign."""
ATTEMPTS = 3
FILE = "lease.json"


class Lease:
    """The right to run a campaign, or a share of it, held while this is open.

    Shares of one division are run by several launches at a time. A whole campaign and a share of it, or shares of two
    divisions, would have trials in common: the second launch is refused.

    Args:
        store: the campaign's store.
        folder: the campaign's folder in it.
        force: whether to take it from a launch that holds it.
        on_lost: called, in a thread, when another launch has taken it.
        share: the number of the share, from 1, and how many there are; None for the whole campaign.

    Raises:
        StoreError: one line, if another launch holds it.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        *,
        force: bool = False,
        on_lost: Callable[[], None] = lambda: None,
        share: tuple[int, int] | None = None,
    ) -> None:
        self._store, self._folder, self._force, self._on_lost, self._share = store, folder, force, on_lost, share
        self._path = f"{folder}/{_file(share)}"
        self._content = {**process_identity(), "token": uuid.uuid4().hex, "since": time.time()}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> Lease:
        self._acquire()
        self._thread.start()
        try:
            self._clear()
        except BaseException:
            self.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def release(self) -> None:
        """Give the lease back, if it is still held here."""
        self._stop.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout=1)
        with suppress(StoreError, OSError):
            if self._is_mine():
                self._store.remove(self._path)

    def _acquire(self) -> None:
        for _ in range(ATTEMPTS):
            if self._store.create_json(self._path, self._signed()):
                return
            held = holder(self._store, self._path)
            if held is None:
                continue  # just given back
            self._end(self._path, held)
        raise StoreError(f"store {self._store.url}: several launches want {self._path} at once; try again")

    def _clear(self) -> None:
        """Make sure that nobody runs trials of this one's under another lease."""
        for path, share in _leases(self._store, self._folder):
            apart = self._share is not None and share is not None and self._share[1] == share[1]
            if path != self._path and not apart and (held := holder(self._store, path)) is not None:
                self._end(path, held)

    def _end(self, path: str, held: dict[str, Any]) -> None:
        """Remove the lease of a launch that has ended, or of any with `force`.

        Raises:
            StoreError: one line, if the launch runs, or nobody can tell.
        """
        if not held and not self._force:
            raise StoreError(
                f"store {self._store.url}: {path} cannot be read, so that nobody can tell whether "
                f"{self._folder} is being run; if it is not, take it over with --force"
            )
        if not self._force and holder_runs(self._store, path, held):
            since = time.strftime("%H:%M:%S", time.localtime(held.get("since", 0)))
            share = _share_of(path.rsplit("/", 1)[-1])
            what = self._folder if share is None else f"share {share[0]}/{share[1]} of {self._folder}"
            raise StoreError(
                f"store {self._store.url}: {what} is being run by process "
                f"{held.get('pid')} on {held.get('host')} since {since}; wait for it, or take it over with --force"
            )
        again = holder(self._store, path)
        if again is not None and again.get("token") == held.get("token"):
            self._store.remove(path)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            with suppress(StoreError, OSError):
                if not self._is_mine():
                    self._on_lost()
                    return
                self._store.write_json(self._path, self._signed())

    def _is_mine(self) -> bool:
        held = holder(self._store, self._path)
        return held is not None and held.get("token") == self._content["token"]

    def _signed(self) -> dict[str, Any]:
        return {**self._content, "beat": time.time()}


def holder(store: Store, path: str) -> dict[str, Any] | None:
    """What a lease says; {} where it cannot be read, None where there is none."""
    try:
        if not store.exists(path):
            return None
        found = store.read_json(path)
    except StoreError:
        return None if not store.exists(path) else {}
    return found if isinstance(found, dict) else {}


def holder_runs(store: Store, path: str, held: dict[str, Any]) -> bool:
    """Whether the launch that holds a lease still runs; takes seconds where only watching tells."""
    mine = process_identity()
    if held.get("machine") == mine["machine"]:
        return runs_here(held.get("pid"), held.get("born"))
    beat = held.get("beat")
    if isinstance(beat, float) and abs(time.time() - beat) < EXPIRED:
        return True
    time.sleep(WATCHED)
    again = holder(store, path)
    return again is not None and again.get("beat") != beat


def running_campaigns(store: Store) -> list[str]:
    """Campaigns that a launch holds, as NAME/FINGERPRINT; takes seconds where only watching tells."""
    found = []
    for campaign in campaigns_of(store):
        leases = ((path, holder(store, path)) for path, _ in _leases(store, f"{CAMPAIGNS}/{campaign}"))
        if any(held is not None and holder_runs(store, path, held) for path, held in leases):
            found.append(campaign)
    return found


def _file(share: tuple[int, int] | None) -> str:
    return FILE if share is None else f"lease-{share[0]}-of-{share[1]}.json"


def _share_of(file: str) -> tuple[int, int] | None:
    """The share that a lease is on; None for the whole campaign."""
    found = re.fullmatch(r"lease-(\d+)-of-(\d+)\.json", file)
    return (int(found[1]), int(found[2])) if found else None


def _leases(store: Store, folder: str) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """Yield the leases on a campaign and its shares: path and share."""
    for file in store.list_json(folder):
        share = _share_of(file)
        if share is not None or file == FILE:
            yield f"{folder}/{file}", share


def process_identity() -> dict[str, Any]:
    """Who this process is; `machine` tells kernels, and containers on one, apart."""
    machine = socket.gethostname()
    with suppress(OSError):
        machine += Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        machine += str(Path("/proc/self/ns/pid").readlink())
    return {
        "host": socket.gethostname(),
        "machine": machine,
        "pid": os.getpid(),
        "born": psutil.Process().create_time(),
    }


def runs_here(pid: Any, born: Any) -> bool:
    """Whether a process of this machine runs that began at a time."""
    try:
        process = psutil.Process(pid) if isinstance(pid, int) else None
        return process is not None and abs(process.create_time() - float(born)) < 1 and lives(process)
    except (psutil.Error, TypeError, ValueError):
        return False

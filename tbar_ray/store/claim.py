"""A claim on an artifact that is being computed: several launches on one store compute it once."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from tbar_ray.errors import StoreError
from tbar_ray.store.lease import BEAT, holder, process_identity, runs_here
from tbar_ray.store.store import Store

FOLDER = "claims"
GONE = 6 * BEAT
"""Seconds without a sign of life after which another machine's claim counts for nothing."""


class ClaimedError(Exception):
    """Another process computes the artifact."""


class Rival:
    """Another process's claim on an artifact, as it is seen from here.

    Whether it lives is told by its signs of life, not by its clock, which may differ from ours.
    """

    def __init__(self, store: Store, artifact: str) -> None:
        self._store, self._path = store, path_of(artifact)
        self._seen: Any = None
        self._since = time.monotonic()

    def lives(self) -> bool:
        """Look at the claim, now and then; False once it was given back, or has shown no life for `GONE` seconds."""
        held = holder(self._store, self._path)
        if held is None:
            return False
        if held != self._seen:
            self._seen, self._since = held, time.monotonic()
        if not _has_ended(held) and time.monotonic() - self._since <= GONE:
            return True
        withdraw(self._store, self._path, held)
        return False

    @property
    def host(self) -> str:
        """Where it is computed."""
        return str((self._seen or {}).get("host", "another host"))


@contextmanager
def claimed(store: Store, artifact: str) -> Iterator[None]:
    """Hold the claim on an artifact, and show signs of life meanwhile.

    On object stores, which have no exclusive creation, two processes may hold it now and then: one artifact is
    computed twice then, and committed once.

    Raises:
        ClaimedError: if another process, which may live, holds it.
        StoreError: if the store cannot be written.
    """
    path, mine = path_of(artifact), {**process_identity(), "token": uuid.uuid4().hex}
    while not store.create_json(path, mine):
        held = holder(store, path)
        if held is not None and not _has_ended(held):
            raise ClaimedError(artifact)
        if held is not None:
            withdraw(store, path, held)
    stop = threading.Event()
    beating = threading.Thread(target=_beat, args=(store, path, mine, stop), name="claim", daemon=True)
    beating.start()
    try:
        yield
    finally:
        stop.set()
        beating.join()
        with suppress(StoreError, OSError):
            withdraw(store, path, mine)


def path_of(artifact: str) -> str:
    """Where the claim on an artifact lies in the store."""
    return f"{FOLDER}/{artifact}.json"


def withdraw(store: Store, path: str, held: dict[str, Any]) -> None:
    """Remove a claim, unless it has become another's."""
    again = holder(store, path)
    if again is not None and again.get("token") == held.get("token"):
        store.remove(path)


def _has_ended(held: dict[str, Any]) -> bool:
    """Whether its process ran on this machine and runs no more."""
    same = held.get("machine") == process_identity()["machine"]
    return same and not runs_here(held.get("pid"), held.get("born"))


def _beat(store: Store, path: str, mine: dict[str, Any], stop: threading.Event) -> None:
    count = 0
    while not stop.wait(BEAT):
        count += 1
        with suppress(StoreError, OSError):
            held = holder(store, path)
            if held is None or held.get("token") != mine["token"]:
                return  # taken over: we were thought dead
            store.write_json(path, {**mine, "beat": count})

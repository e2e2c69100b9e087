"""Shards that are open for reading: memory maps of local files or local copies, a bounded number at a time."""

from __future__ import annotations

import mmap
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from tbar_ray.data.download import local_copy
from tbar_ray.data.locate import ShardState, shard_state
from tbar_ray.errors import DataError, ShardChangedError

RETRIES = 5  # repeated downloads if another process removes the shard before it is opened
CHECK_EVERY = 5.0  # seconds between looks at whether a shard that is read has changed
OPEN_SHARDS = 64  # memory maps kept per process; each holds a file descriptor


class OpenShards:
    """Maps shards when they are first read, and notices when one changes; thread-safe.

    Args:
        urls: The shards.
        states: What each was when it was indexed; None for a remote one.
        cache: Folder for downloads of remote shards.
    """

    def __init__(self, urls: Sequence[str], states: Sequence[ShardState | None], cache: Path) -> None:
        self._urls, self._states, self._cache = urls, states, cache
        self._maps: OrderedDict[int, mmap.mmap] = OrderedDict()
        self._looked: dict[int, float] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._maps)

    def get(self, shard: int) -> mmap.mmap:
        """The content of a shard, by its position in `urls`; opened if need be, and the longest unread one closed.

        Raises:
            DataError: It cannot be read.
            ShardChangedError: It changed since it was indexed; looked at every `CHECK_EVERY` seconds.
        """
        with self._lock:
            found = self._maps.pop(shard, None)
            now = time.monotonic()
            if found is None or now - self._looked.get(shard, now) > CHECK_EVERY:
                self._looked[shard] = now
                state, there = self._states[shard], shard_state(self._urls[shard])
                if there is not None and state is not None and there != state:
                    raise self.changed(shard)
            if found is None:
                url = self._urls[shard]
                try:
                    found = _mapped(url, self._cache)
                except (OSError, ValueError) as error:  # ValueError: the file has become empty
                    raise DataError(f"cannot read shard {url}: {error}") from error
                if len(self._maps) >= OPEN_SHARDS:
                    self._maps.popitem(last=False)  # closed once no other thread is slicing it
            self._maps[shard] = found
            return found

    def check_unchanged(self, shard: int) -> None:
        """Look whether a shard is still what it was when it was indexed.

        Raises:
            ShardChangedError: It is not.
        """
        state = self._states[shard]
        if state is not None and shard_state(self._urls[shard]) != state:
            raise self.changed(shard)

    def changed(self, shard: int) -> ShardChangedError:
        """The error of a shard that is not what was indexed; it names the shard and says what to do."""
        return ShardChangedError(
            f"{self._urls[shard]} changed since it was indexed: run again once nothing writes to it any more"
        )


def _mapped(url: str, cache: Path) -> mmap.mmap:
    for attempt in range(RETRIES):
        path = local_copy(url, cache)
        try:
            with path.open("rb") as file:
                return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except FileNotFoundError:  # another process has just evicted it
            if attempt + 1 == RETRIES:
                raise
    raise AssertionError

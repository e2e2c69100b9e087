"""Noticing that Ray is gone: without its head or its raylet a driver would hang, or be ended by Ray without a word."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import ray

from tbar_ray.execution.reach import accepts
from tbar_ray.periodic import Periodic
from tbar_ray.store.temporary import lives

INTERVAL = 1.0
"""Seconds between looks."""
LOOKS = 3
"""Looks in a row at which the head has to be missed."""
PATIENCE = 2.0
"""Seconds in which the head has to accept a connection."""
RAYLET = "raylet"


class ClusterWatch(Periodic):
    """Looks, while it is open, whether the head of the cluster and this node's raylet are alive.

    Args:
        on_lost: called once, in a thread of the watch, with what is gone.
    """

    def __init__(self, on_lost: Callable[[str], None]) -> None:
        super().__init__(INTERVAL, "cluster watch")
        self._on_lost = on_lost
        self._head = _head()
        self._raylets = _raylets()
        self._missed = 0

    def look(self) -> bool:
        """Tell what is gone; whether all is there."""
        if self._raylets and not any(lives(raylet) for raylet in self._raylets):
            self._on_lost("Ray's process on this machine (the raylet) has ended")
            return False
        self._missed = 0 if self._head is None or accepts(*self._head, PATIENCE) else self._missed + 1
        if self._missed == LOOKS:
            self._on_lost(f"the head of the Ray cluster at {self._head[0]}:{self._head[1]} has ended")  # type: ignore[index]
            return False
        return True


def _head() -> tuple[str, int] | None:
    """Host and port where the head listens; None through Ray's client, which has no such address."""
    address = getattr(ray.get_runtime_context(), "gcs_address", None)
    if not address or ":" not in address:
        return None
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _raylets() -> list[psutil.Process]:
    """The raylet of a local Ray, which is a child of this process; none where a cluster was joined."""
    return [child for child in psutil.Process().children() if child.name() == RAYLET]

"""The notice that a node is to be taken away: a spot node, or one whose `ray start` was told to end."""

from __future__ import annotations

import threading
from collections.abc import Collection
from contextlib import suppress

import ray

from tbar_ray.periodic import Periodic

EVERY = 1.0
"""Seconds between looks; a notice comes 30 seconds (Kubernetes, Google Cloud) to 2 minutes (AWS) before the end."""


class Notice(Periodic):
    """Whether one of some nodes is to be taken away; a context manager, which looks in a thread meanwhile.

    Ray calls such a node draining: it gets no new work, and what runs on it runs until the deadline.

    Args:
        nodes: Ray's ids of the nodes, in hexadecimal.
    """

    def __init__(self, nodes: Collection[str]) -> None:
        super().__init__(EVERY, "notice")
        self._nodes = frozenset(nodes)
        self._given = threading.Event()

    @property
    def given(self) -> bool:
        """Whether there was a notice."""
        return self._given.is_set()

    def look(self) -> bool:
        """Whether there was none yet."""
        with suppress(Exception):  # the head may be restarting: the next look may succeed
            if self._nodes & draining_nodes():
                self._given.set()
        return not self.given


def draining_nodes() -> frozenset[str]:
    """Ids of the nodes that are to be taken away."""
    # Ray's own trainer asks here; there is no public name
    found: dict[str, int] = ray._private.state.state.get_draining_nodes()
    return frozenset(found)

"""A thread that looks at something while a block runs."""

from __future__ import annotations

import threading

from tbar_ray.periodic import Periodic


class Counted(Periodic):
    """Counts its looks, and ends by itself after some."""

    def __init__(self, every: float, most: int) -> None:
        super().__init__(every, "counted")
        self.looks, self._most = 0, most
        self.enough = threading.Event()

    def look(self) -> bool:
        self.looks += 1
        if self.looks == self._most:
            self.enough.set()
        return self.looks < self._most


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]


def test_it_looks_until_it_has_seen_enough() -> None:
    with Counted(0.001, most=3) as watched:
        assert watched.enough.wait(30)
        watched._thread.join(30)
        assert "counted" not in threads()
    assert watched.looks == 3


def test_it_ends_with_its_block_however_long_the_wait() -> None:
    with Counted(3600.0, most=3) as watched:
        assert "counted" in threads()
    assert "counted" not in threads()
    assert watched.looks == 0

"""A thread that looks at something again and again while a block runs."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Periodic(ABC):
    """Looks, while it is open, at something: a context manager with a thread of its own.

    The first look comes after the first wait. A look that takes long delays the next one, and the end of the block.

    Args:
        every: seconds between looks.
        name: of the thread.

    Attributes:
        every: seconds between looks, which a look may change.
    """

    def __init__(self, every: float, name: str) -> None:
        self.every = every
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=name, daemon=True)

    @abstractmethod
    def look(self) -> bool:
        """Look once; whether to go on looking."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(self.every):
            if not self.look():
                return

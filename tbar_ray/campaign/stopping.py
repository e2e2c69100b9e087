"""Stopping a campaign by a signal: at once said, gently at first, and in any case soon."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

SOON = 4.0
"""Seconds after which a process that is to stop now ends, whatever it waits for."""
SOONER = 2.5
"""The same after SIGTERM and SIGHUP: `ray job stop` kills after 3 seconds."""
INTERRUPTED = 130
"""The exit code."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopping:
    """What signals do to a campaign while this is open.

    While trials run (`gently`), the first Ctrl-C lets the stages that run end and starts no others. A second one, a
    first one at another time, SIGTERM (a scheduler) and SIGHUP (a terminal that was closed) stop at once.

    Args:
        close: ends what others would go on seeing as running; called in a thread when the process has to stop now.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._before: dict[int, Any] = {}
        self._gently = False
        self._ended, self._closed = threading.Event(), threading.Event()
        self.requested = False
        """Whether the campaign is to stop."""
        self.now = False
        """Whether it is to stop at once."""

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._signalled) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.now:
            self._closed.wait(SOON)  # a process that ended first would leave it open
        self._ended.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def gently(self, wanted: bool) -> None:
        """Say whether there are trials that could end before the campaign does."""
        self._gently = wanted

    def _signalled(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        if self.now:
            return
        if number == signal.SIGINT and self._gently and not self.requested:
            self.requested = True
            _say("stopping after the running stages; again to stop now")
            return
        self.requested = self.now = True
        _say("stopping now; run the same command again to continue")
        threading.Thread(
            target=self._end_soon, args=(SOON if number == signal.SIGINT else SOONER,), daemon=True
        ).start()
        raise KeyboardInterrupt

    def _end_soon(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        threading.Thread(target=self._close_it, daemon=True).start()
        if not self._ended.wait(max(0.0, deadline - time.monotonic())):
            os._exit(INTERRUPTED)  # what runs on Ray ends with the process that started it

    def _close_it(self) -> None:
        try:
            self._close()
        finally:
            self._closed.set()


def _say(line: str) -> None:
    """Write a line to stderr past Python's buffers, whose locks the interrupted code may hold."""
    with suppress(OSError):  # the terminal may be gone
        os.write(2, f"{line}\n".encode())

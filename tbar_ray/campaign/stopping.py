"""Stopping a campaign by a signal: at once said, gently at first, and in any case soon."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Any

import psutil

from tbar_ray.exit_codes import ExitCode
from tbar_ray.store.temporary import make_no_more, own_folders, processes_of, remove

SOON = 3.5
"""Seconds that closing may take before a process that is to stop now ends, whatever it waits for."""
SOONER = 1.9
"""The same after SIGTERM and SIGHUP: `ray job stop` kills after 3 seconds."""
TIDYING = 0.8
"""Seconds that temporary folders of a process that ends may take to be removed; the next launch removes the rest."""
LATER = 0.2
"""Seconds after all of this at which the system ends the process, by SIGALRM."""
TELLING = 0.5
"""Seconds that a line may take to be written: a terminal that was halted (Ctrl-S) takes none."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOW_CURSOR = b"\x1b[?25h"


class Stopping:
    """What signals do to a campaign while this is open.

    While trials run (`gently`), the first Ctrl-C lets the stages that run end and starts no others. A second one, a
    first one at another time, SIGTERM (a scheduler) and SIGHUP (a terminal that was closed) end the process.

    All of this happens in a thread that the system's own handler wakes. Python runs handlers in the main thread, which
    may be in Ray's C++ for ten seconds when Ray starts; an exception that a handler raises is lost where Python is
    collecting garbage; and Ray takes SIGTERM while it starts. Nothing here depends on the main thread.

    Args:
        close: ends what others would go on seeing as running; called in a thread when the process has to stop now.
    """

    def __init__(self, close: Callable[[], None]) -> None:
        self._close = close
        self._before: dict[int, Any] = {}
        self._gently = False
        self._thread: threading.Thread | None = None
        self.requested = False
        """Whether the campaign is to stop."""

    def __enter__(self) -> Stopping:
        if threading.current_thread() is threading.main_thread():
            self._listening, self._woken = socket.socketpair()
            self._woken.setblocking(False)
            self._thread = threading.Thread(target=self._listen, name="signals", daemon=True)
            self._thread.start()
            self._woken_before = signal.set_wakeup_fd(self._woken.fileno(), warn_on_full_buffer=False)
            self._before = {number: signal.signal(number, _handled) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is None:
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._woken_before)
        self._woken.close()
        self._thread.join()  # which does not return if the process is to stop now
        self._listening.close()

    def gently(self, wanted: bool) -> None:
        """Say whether there are trials that could end before the campaign does."""
        self._gently = wanted

    def _listen(self) -> None:
        while numbers := self._listening.recv(64):
            for number in numbers:
                if number in SIGNALS:
                    self._signalled(number)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGINT and self._gently and not self.requested:
            self.requested = True
            _say("stopping after the running stages; again to stop now")
            return
        self.requested = True
        most = SOON if number == signal.SIGINT else SOONER
        # the system itself ends a process in which no thread gets to run, because C++ keeps Python to itself
        signal.setitimer(signal.ITIMER_REAL, most + TIDYING + LATER)
        _say("stopping now; run the same command again to continue")
        closing = threading.Thread(target=self._close, daemon=True)
        closing.start()
        closing.join(most)
        end_process(ExitCode.INTERRUPTED)


def end_process(code: int) -> None:
    """End this process with its local Ray and its temporary folders, whatever its threads wait for."""
    belonging: list[psutil.Process] = []

    def tidy() -> None:
        make_no_more()
        folders = own_folders()
        belonging.extend(processes_of(folders))
        while folders:  # another thread may write into one that is being removed
            remove(*folders)
            folders = own_folders()

    with suppress(OSError):
        if os.isatty(1):
            os.write(1, SHOW_CURSOR)  # a live table had hidden it
    _fall_silent()
    tidying = threading.Thread(target=tidy, daemon=True)
    tidying.start()
    tidying.join(TIDYING)
    for process in tuple(belonging):  # at the very last: Ray would end this process in its own way
        with suppress(psutil.Error):
            process.kill()
    os._exit(code)


def _fall_silent() -> None:
    """Let nothing more be printed: other threads run on while their files go, and would show tracebacks of it."""
    with suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in (1, 2):
            os.dup2(nowhere, descriptor)


def _handled(number: int, frame: FrameType | None) -> None:
    """Do nothing in the main thread: the thread that listens does it."""


def _say(line: str) -> None:
    """Write a line to stderr past Python's buffers, whose locks other threads may hold."""

    def write() -> None:
        with suppress(OSError):  # the terminal may be gone
            os.write(2, f"{line}\n".encode())

    telling = threading.Thread(target=write, daemon=True)
    telling.start()
    telling.join(TELLING)

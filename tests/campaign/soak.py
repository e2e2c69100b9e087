"""A campaign under which something is killed again and again: what runs it, and what happens to it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO

import psutil

from tests.campaign.ray_nodes import RayNodes
from tests.campaign.tiny import PROGRAM
from tests.proxy import Proxy
from tests.tracking.server import start_server

AWAY = 8.0
"""Seconds after which a node, the tracking server and the store come back."""
TRAININGS = ("ray::clean", "ray::plant")
"""How the processes of stages are called that keep checkpoints."""
STARTS = 3
"""Starts of a node that does not come back, at most."""
MOST_STARTS = 5
"""Starts of the driver for each time that something happened, at most."""


class Tracking:
    """An MLflow server that can be killed.

    Attributes:
        uri: its address.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._place = (f"sqlite:///{folder / 'server.db'}", folder / "artifacts", port)
        self.uri = f"http://127.0.0.1:{port}"
        self._server = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return start_server(*self._place, workers=1)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._server.pid, signal.SIGKILL)
        self._server.wait()

    def restart(self) -> None:
        self._server = self._start()


class Driver:
    """`tbar campaign run`, which is started again whenever it has ended otherwise than well.

    Attributes:
        starts: how often it was started.
        ends: the return codes of those that have ended.
    """

    def __init__(self, words: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self._words, self._environment, self._log = words, environment, log
        self.starts, self.ends = 0, list[int]()
        self._output: IO[bytes] | None = None
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        self.starts += 1
        self._output = self.log_of(self.starts).open("wb")
        return subprocess.Popen(
            [sys.executable, "-u", "-c", PROGRAM, *self._words],
            env=self._environment,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def log_of(self, start: int) -> Path:
        return self._log.with_suffix(f".{start}.log")

    @property
    def last_words(self) -> str:
        """What it said last, once it has ended."""
        return self.log_of(self.starts).read_text()

    def has_ended(self) -> bool:
        """Whether it has ended well; it is started again if it has ended otherwise."""
        code = self._process.poll()
        if code is None:
            return False
        assert self._output is not None
        self._output.close()
        self.ends.append(code)
        if code != 0:
            self._process = self._start()
        return code == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def says(self, text: str) -> bool:
        return text in self.log_of(self.starts).read_text()


class Soak:
    """Lets things happen to a campaign, each kind as often as the others, in an order that a seed tells.

    Attributes:
        happened: kinds, in the order in which they have happened.
    """

    def __init__(self, driver: Driver, nodes: RayNodes, tracking: Tracking, store: Proxy, seed: int) -> None:
        self._driver, self._nodes, self._tracking, self._store = driver, nodes, tracking, store
        self._random, self._coming_back = random.Random(seed), list[Timer]()
        self.happened: list[str] = []
        self._kinds: dict[str, Callable[[], bool]] = {
            "driver": self._kill_driver,
            "coordinator": lambda: self._kill(nodes.processes("ray::Coordinator")),
            "reader": lambda: self._kill(nodes.processes("ray::BatchReader")),
            "worker": lambda: self._kill([process for name in TRAININGS for process in nodes.processes(name)]),
            "node": self._kill_node,
            "tracking server": self._kill_tracking,
            "store": self._hide_store,
        }

    @property
    def kinds(self) -> Sequence[str]:
        return list(self._kinds)

    def run(self, every: float, times: int, longest: float) -> None:
        """Let so many things happen, at least `every` seconds apart, and wait for the campaign's end.

        Raises:
            AssertionError: if it does not end.
        """
        try:
            self._run(every, times, longest)
        finally:
            for timer in self._coming_back:
                timer.join()

    def _run(self, every: float, times: int, longest: float) -> None:
        order = self._order(times)
        due = next(order, None)
        began = last = time.monotonic()
        while not self._driver.has_ended():
            now = time.monotonic()
            assert now - began < longest, self._driver.last_words
            assert self._driver.starts <= MOST_STARTS * (1 + len(self.happened)), self._driver.last_words
            # before a driver has joined, there is hardly anything to be lost
            if due is not None and now - last >= every and self._driver.says("running: ") and self._kinds[due]():
                self.happened.append(due)
                due, last = next(order, None), time.monotonic()
            time.sleep(0.2)

    def _later(self, happens: Callable[[], None]) -> None:
        self._coming_back.append(Timer(AWAY, happens))
        self._coming_back[-1].start()

    def _order(self, times: int) -> Iterator[str]:
        names: list[str] = []
        for _ in range(times):
            if not names:
                names = list(self._kinds)
                self._random.shuffle(names)
            yield names.pop()

    def _kill(self, processes: Sequence[psutil.Process]) -> bool:
        """Kill one of some processes; whether there was one."""
        if not processes:
            return False
        with suppress(psutil.NoSuchProcess):
            self._random.choice(processes).kill()
            return True
        return False

    def _kill_driver(self) -> bool:
        self._driver.kill()
        return True

    def _kill_node(self) -> bool:
        if not self._nodes.processes("raylet", 2):
            return False
        self._nodes.kill_node(2)

        def back() -> None:
            for _ in range(STARTS):
                with suppress(AssertionError):  # a busy machine lets Ray's own patience end
                    self._nodes.start_node(2)
                    break

        self._later(back)
        return True

    def _kill_tracking(self) -> bool:
        self._tracking.kill()
        self._later(self._tracking.restart)
        return True

    def _hide_store(self) -> bool:
        self._store.away = True

        def back() -> None:
            self._store.away = False

        self._later(back)
        return True


@contextmanager
def tracking_server(folder: Path, port: int) -> Iterator[Tracking]:
    """Run an MLflow server on SQLite, whatever happens to it."""
    made = Tracking(folder, port)
    try:
        yield made
    finally:
        made.kill()

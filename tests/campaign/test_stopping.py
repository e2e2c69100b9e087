"""What signals do, in processes of their own."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tbar_ray.campaign.stopping import SHOW_CURSOR
from tbar_ray.store.temporary import lives
from tests.waiting import wait_until

WAITS = """
import ctypes, os, signal, subprocess, sys, threading, time
from tbar_ray.campaign import stopping as module
from tbar_ray.campaign.stopping import Stopping
from tbar_ray.store.temporary import MARK, temporary_folder

if "slow" in sys.argv or "keeps python" in sys.argv:
    module.SOON = module.SOONER = 1.0
if "keeps python" not in sys.argv:
    module.TIDYING = 30.0  # a guard: what is looked for is that nothing is left
closing = threading.Event()

def close():
    print("closed", flush=True)
    closing.set()
    if "slow" in sys.argv or "keeps python" in sys.argv:
        time.sleep(600)

with Stopping(close) as stopping:
    stopping.gently("gently" in sys.argv)
    belonging = {**os.environ, MARK: str(temporary_folder("test"))}
    child = subprocess.Popen(["sleep", "600"], env=belonging, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if "elsewhere" in sys.argv:  # as Ray does while it starts
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))
    print("ready", child.pid, flush=True)
    if "deaf" in sys.argv:  # in C, where no handler of Python's is run
        mutex = ctypes.create_string_buffer(256)
        for _ in range(2):
            ctypes.CDLL(None).pthread_mutex_lock(mutex)
    while not stopping.requested:
        time.sleep(0.01)
    if "keeps python" in sys.argv:
        closing.wait()
        ctypes.PyDLL(None).pause()
    if "says so" in sys.argv:
        print("ends its stages", flush=True)
    time.sleep(600)
"""
GENTLY = "stopping after the running stages; again to stop now"
NOW = "stopping now; run the same command again to continue"


class Running:
    """A process that waits for signals, and a process that belongs to it."""

    def __init__(self, place: Path, *words: str) -> None:
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "-c", WAITS, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(place)},
        )
        ready, child = self.line().split()
        assert ready == "ready"
        self.child = psutil.Process(int(child))

    def line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().rstrip()

    def ends(self) -> list[str]:
        """Wait for its end and return what it still said: it is 130, and nothing of it is left."""
        lines = self.process.communicate(timeout=60)[0].splitlines()
        assert self.process.returncode == 130, lines
        assert list(self.place.iterdir()) == []
        wait_until(lambda: not lives(self.child))
        return lines


def test_a_first_interrupt_is_acknowledged_and_a_second_ends_the_process(tmp_path: Path) -> None:
    running = Running(tmp_path, "gently", "says so")
    running.process.send_signal(signal.SIGINT)
    assert running.line() == GENTLY
    assert running.line() == "ends its stages"
    running.process.send_signal(signal.SIGINT)
    assert running.ends() == [NOW, "closed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_where_nothing_can_end_gently_or_a_machine_asks_it_stops_at_once(
    number: signal.Signals, tmp_path: Path
) -> None:
    running = Running(tmp_path, *(() if number == signal.SIGINT else ("gently",)))
    running.process.send_signal(number)
    assert running.ends() == [NOW, "closed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_main_thread_that_is_in_c_hinders_nothing(number: signal.Signals, tmp_path: Path) -> None:
    running = Running(tmp_path, "deaf", "gently")
    if number == signal.SIGINT:
        running.process.send_signal(number)
        assert running.line() == GENTLY
    running.process.send_signal(number)
    assert running.ends() == [NOW, "closed"]


def test_another_handler_of_sigterm_in_between_hinders_nothing(tmp_path: Path) -> None:
    running = Running(tmp_path, "elsewhere")
    running.process.send_signal(signal.SIGTERM)
    assert running.ends() == [NOW, "closed"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_closing_that_hangs_is_not_waited_for(number: signal.Signals, tmp_path: Path) -> None:
    running = Running(tmp_path, "slow")
    running.process.send_signal(number)
    assert running.ends() == [NOW, "closed"]


def test_a_process_in_which_no_thread_gets_to_run_is_ended_by_the_system(tmp_path: Path) -> None:
    running = Running(tmp_path, "keeps python")
    running.process.send_signal(signal.SIGTERM)
    assert running.process.communicate(timeout=60)[0].splitlines()[0] == NOW
    assert running.process.returncode == -signal.SIGALRM
    running.child.kill()


def test_a_terminal_gets_its_cursor_back(tmp_path: Path) -> None:
    terminal, its_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS], stdout=its_end, stderr=its_end, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    os.close(its_end)
    shown = os.read(terminal, 100)
    assert shown.startswith(b"ready")
    process.send_signal(signal.SIGINT)
    while process.poll() is None or SHOW_CURSOR not in shown:
        try:
            shown += os.read(terminal, 1000)
        except OSError:  # its other end is closed
            break
    assert process.wait(timeout=60) == 130
    assert shown.endswith(SHOW_CURSOR)
    os.close(terminal)


def test_a_process_that_ends_prints_nothing_of_what_its_other_threads_miss() -> None:
    code = (
        "import sys, threading, time\n"
        "from tbar_ray.campaign import stopping\n"
        "def talk():\n"
        "    while True:\n"
        "        print('traceback', file=sys.stderr, flush=True)\n"
        "stopping.remove = lambda folder: None\n"
        "def slow():\n"
        "    threading.Thread(target=talk, daemon=True).start()\n"
        "    time.sleep(0.3)\n"
        "    return []\n"
        "stopping.own_folders = slow\n"
        "print('last word', file=sys.stderr, flush=True)\n"
        "stopping.end_process(3)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (3, "last word\n")


def test_a_process_that_ends_leaves_no_folder_that_another_thread_makes_or_fills(tmp_path: Path) -> None:
    program = (
        "import itertools, threading, time\n"
        "from contextlib import suppress\n"
        "from tbar_ray.campaign import stopping\n"
        "from tbar_ray.store.temporary import temporary_folder\n"
        "def make():\n"
        "    while True:\n"
        "        folder = temporary_folder('record')\n"
        "        with suppress(FileNotFoundError):\n"  # it was removed
        "            for number in itertools.count():\n"
        "                (folder / str(number % 20)).write_text('x')\n"
        "                time.sleep(1e-4)\n"
        "for _ in range(3):\n"
        "    threading.Thread(target=make, daemon=True).start()\n"
        "time.sleep(0.2)\n"
        "stopping.TIDYING = 30\n"
        "stopping.end_process(3)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, b"", b"")
    assert list(tmp_path.iterdir()) == []

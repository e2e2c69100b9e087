"""What signals do, in processes of their own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

WAITS = """
import sys, time
from tbar_ray.campaign.stopping import Stopping

def close():
    print("closed", flush=True)

try:
    with Stopping(close) as stopping:
        stopping.gently(sys.argv[1] == "gently")
        said = False
        try:
            print("ready", flush=True)
            while True:
                time.sleep(0.01)
                if stopping.requested and not said:
                    said = True
                    print("ends its stages", flush=True)
        except KeyboardInterrupt:
            if sys.argv[2] == "deaf":
                time.sleep(60)
            raise
except KeyboardInterrupt:
    print("ended by itself", flush=True)
"""


def start(gently: str, ears: str) -> subprocess.Popen[str]:
    running = subprocess.Popen(
        [sys.executable, "-c", WAITS, gently, ears], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    return running


def rest(running: subprocess.Popen[str]) -> list[str]:
    return running.communicate(timeout=60)[0].splitlines()


def test_a_first_interrupt_is_acknowledged_and_a_second_ends_the_process() -> None:
    running = start("gently", "hears")
    assert running.stdout is not None
    running.send_signal(signal.SIGINT)
    assert running.stdout.readline() == "stopping after the running stages; again to stop now\n"
    assert running.stdout.readline() == "ends its stages\n"
    running.send_signal(signal.SIGINT)
    assert sorted(rest(running)) == [
        "closed", "ended by itself", "stopping now; run the same command again to continue",
    ]  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_where_nothing_can_end_gently_or_a_machine_asks_it_stops_at_once(number: signal.Signals) -> None:
    running = start("gently" if number != signal.SIGINT else "at once", "hears")
    running.send_signal(number)
    lines = rest(running)
    assert lines[0] == "stopping now; run the same command again to continue"
    assert {"closed", "ended by itself"} <= set(lines)


@pytest.mark.parametrize(("number", "most"), [(signal.SIGINT, 5), (signal.SIGTERM, 3.5)])
def test_what_hangs_is_ended_after_it_was_closed(number: signal.Signals, most: float) -> None:
    running = start("at once", "deaf")
    started = time.monotonic()
    running.send_signal(number)
    lines = rest(running)
    assert time.monotonic() - started < most
    assert running.returncode == 130
    assert "closed" in lines
    assert "ended by itself" not in lines

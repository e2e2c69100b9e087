from __future__ import annotations

import time

import torch

from tbar_ray.stages.memory import PeakMemory
from tests.waiting import wait_until

MEGABYTE = 1_000_000


def test_the_peak_of_a_piece_of_work_is_seen_and_no_more() -> None:
    with PeakMemory(torch.device("cpu")) as memory:
        held = torch.ones(40 * MEGABYTE)  # 160 MB
        wait_until(lambda: memory.peak > 100 * MEGABYTE)
        del held
        time.sleep(0.1)
    assert memory.peak < 400 * MEGABYTE


def test_work_without_memory_has_a_small_peak() -> None:
    with PeakMemory(torch.device("cpu")) as memory:
        time.sleep(0.1)
    assert 0 <= memory.peak < 50 * MEGABYTE


def test_memory_that_earlier_work_has_freed_counts_again() -> None:
    for _ in range(3):
        with PeakMemory(torch.device("cpu")) as memory:
            held = [torch.ones(250_000) for _ in range(100)]  # 1 MB each: the heap keeps such pieces
            wait_until(lambda seen=memory: seen.peak > 70 * MEGABYTE)  # type: ignore[misc]
            del held

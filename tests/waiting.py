"""Waiting for what comes from other processes."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE = 0.1
PATIENCE = 120
"""Seconds; a guard, not a measurement."""


def wait_until(holds: Callable[[], bool]) -> None:
    """Return once something holds.

    Raises:
        AssertionError: if it does not come.
    """
    for _ in range(round(PATIENCE / PAUSE)):
        if holds():
            return
        time.sleep(PAUSE)
    raise AssertionError("it does not come")

"""Asking an actor that Ray may be restarting."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError

PATIENCE = 120.0
"""Seconds that an actor may take to be started anew."""
AGAIN = 0.5
"""Seconds between attempts."""


def ask(call: Callable[[], Any]) -> Any:
    """Answer to a call, made again for as long as its actor is being restarted.

    Ray could repeat calls itself, and then tells of each one on the terminal when an actor is ended on purpose.

    Args:
        call: makes the call and returns its reference; it must do no harm when it is made twice.

    Raises:
        RayActorError: if the actor is dead, or is not back within `PATIENCE`.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return ray.get(call())
        except ActorUnavailableError:
            if time.monotonic() > deadline:
                raise
        time.sleep(AGAIN)

"""A backdoor, as far as a defender knows it."""

from __future__ import annotations

from dataclasses import dataclass

from tbar_ray.triggers.base import Trigger


@dataclass(frozen=True)
class Backdoor:
    """A trigger and its target, the class with which an infected model answers triggered images.

    Attributes:
        trigger: as `trigger(...)` returns it.
        target: name of the class.
    """

    trigger: Trigger
    target: str

"""Running several searches on one model, and naming the class that their triggers lead to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tbar_ray.inversion.base import Inversion, Inverter
from tbar_ray.inversion.subject import Subject
from tbar_ray.inversion.target import Target, infer_target

DEFAULT = ("universal-noise", "decree")
"""The searches of a scan where neither the user nor a calibration names any."""

Told = Callable[[str, int, int], None]
"""Told the search, its steps done, and all of them."""


@dataclass(frozen=True, eq=False)
class Searched:
    """What one search found in a model.

    Attributes:
        inversion: its trigger and score.
        target: the class that the trigger leads to; None without a trigger, or without classes.
        seconds: that it took.
    """

    inversion: Inversion
    target: Target | None
    seconds: float


def applicable(searches: Sequence[Inverter], *, classes: bool) -> tuple[Inverter, ...]:
    """Those that can be run with or without class embeddings."""
    return tuple(search for search in searches if classes or not search.needs_classes)


def search_all(
    subject: Subject, searches: Sequence[Inverter], seed: int, judged: Subject | None = None, tell: Told | None = None
) -> dict[str, Searched]:
    """Run searches one after another, by name in their order.

    Args:
        subject: model and images.
        searches: those that are applicable.
        seed: of their starts and draws.
        judged: the same model with other images, on which the triggers are judged; None: the same.
        tell: told how far they are.

    Raises:
        DataError: if a search needs classes and there are none.
    """
    found = {}
    for search in searches:
        started = time.perf_counter()
        inversion = search.invert(subject, seed, _progress(search.name, tell))
        if tell is not None:  # it may have ended before its last step
            tell(search.name, inversion.steps, inversion.steps)
        target = None
        if inversion.trigger is not None and subject.head is not None:
            target = infer_target(judged or subject, inversion.trigger)
        found[search.name] = Searched(inversion, target, time.perf_counter() - started)
    return found


def most_telling(found: Mapping[str, Searched]) -> str | None:
    """The search whose trigger is to be worked with; None if no search found one.

    It is the one whose trigger surely leads most images to its class; without classes, or if none leads anywhere, the
    first that found a trigger.
    """
    leading = {name: each.target for name, each in found.items() if each.target is not None}
    named = {name: target for name, target in leading.items() if target.target is not None}
    if named:
        return max(named, key=lambda name: named[name].rate.low)
    return next((name for name, each in found.items() if each.inversion.trigger is not None), None)


def _progress(name: str, tell: Told | None) -> Callable[[int, int, float], None]:
    def progress(step: int, steps: int, _loss: float) -> None:
        if tell is not None:
            tell(name, step, steps)

    return progress

"""The axes that determine an infected model: those of attacker and victim, not of the defender."""

from __future__ import annotations

from tbar_ray.planning.axes import ALIASES, Setting, method_parameter
from tbar_ray.records.record import TrialRecord

DEFENDER = frozenset({"source", "forget", "defender", "unlearning", "methods", "alpha"})
"""Sections of the spec that come after the infected model."""
UNLEARNING = frozenset({"unlearning", "methods"})
"""Sections that hold parameters of methods."""


def is_of_model(name: str) -> bool:
    """Whether an axis changes the infected model or its scores."""
    return method_parameter(name) is None and not _sections(name) <= DEFENDER


def is_parameter(name: str) -> bool:
    """Whether an axis is a parameter of a method, or of all of them."""
    return name != "method" and (method_parameter(name) is not None or _sections(name) <= UNLEARNING)


def model_of(record: TrialRecord) -> tuple[tuple[str, Setting], ...]:
    """What identifies a record's infected model: the axes of attacker and victim with their values, by name."""
    return tuple((name, value) for name, value in sorted(record.settings.items()) if is_of_model(name))


def _sections(name: str) -> set[str]:
    paths = ALIASES[name].paths if name in ALIASES else (name,)
    return {path.partition(".")[0] for path in paths}

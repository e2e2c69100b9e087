"""All plantings by name. A new planting is one file in this package and one line here."""

from __future__ import annotations

from collections.abc import Mapping

from tbar_ray.naming import build_named
from tbar_ray.planting.badmerging import BadMerging
from tbar_ray.planting.base import Planting
from tbar_ray.planting.distillation_robust import DistillationRobust
from tbar_ray.planting.negation_robust import NegationRobust
from tbar_ray.planting.standard import Standard
from tbar_ray.planting.stealth import Stealth

PLANTINGS: Mapping[str, type[Planting]] = {
    planting.name: planting for planting in (Standard, BadMerging, NegationRobust, DistillationRobust, Stealth)
}


def build_planting(name: str, parameters: Mapping[str, object]) -> Planting:
    """Build a planting from its name and parameters.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range; the message suggests the nearest names.
    """
    return build_named(PLANTINGS, "planting", name, parameters)

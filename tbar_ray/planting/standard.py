"""Plain poisoning: training on poisoned data with the usual loss."""

from __future__ import annotations

from typing import ClassVar

from tbar_ray.planting.base import Planting, PlantingContext
from tbar_ray.training.objectives import Objective


class Standard(Planting):
    """The usual loss, unchanged: the attacker only contributes data (Carlini and Terzis, 2106.09667)."""

    name: ClassVar[str] = "standard"

    def wrap(self, base: Objective, context: PlantingContext) -> Objective:  # noqa: ARG002 - nothing to add
        """The base objective, unchanged."""
        return base

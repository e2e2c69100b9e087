"""Methods that change TBAR's vector after it has been learned."""

from __future__ import annotations

from abc import abstractmethod

from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.methods.tbar import TBAR


class RefinedTBAR(TBAR):
    """TBAR whose vector is changed afterwards. The vector itself is that of TBAR with the same hyper-parameters."""

    def base(self) -> TBAR:
        """TBAR with the hyper-parameters that both have."""
        return TBAR(**{name: getattr(self, name) for name in TBAR.model_fields})

    def find(self, infected: Infected) -> Unlearned:
        """Learn the trigger vector, and change it."""
        found = super().find(infected)
        infected.restore()
        return self.refine(found, infected)

    @abstractmethod
    def refine(self, found: Unlearned, infected: Infected) -> Unlearned:
        """Change the vector; the model has the infected weights."""

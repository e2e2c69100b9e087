"""TBAR: learn the trigger vector on a forget set and subtract it (arXiv 2510.14845)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.unlearning.base import Infected, Strength
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.training_set import batches_of, chosen_objective


class TBAR(FineTuning):
    """θ_b − α·τ, where τ is the weight change of fine-tuning the infected model on the forget set.

    The paper publishes neither learning rate, epochs nor batch size; the defaults are the task-vector
    recipe (2212.04089: frozen zero-shot head, AdamW, 1e-5, decay 0.1, batch 128) with few steps.
    """

    name: ClassVar[str] = "tbar"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})
    strength: ClassVar[Strength] = "negation"

    objective: Literal["classification", "contrastive"] = Field(
        default="classification", description="loss: cross-entropy against the frozen head, or InfoNCE on pairs"
    )

    @property
    def classifies_forget_set(self) -> bool:
        """Whether the loss is of labels."""
        return self.objective == "classification"

    def objective_on(self, infected: Infected) -> Objective:
        """Cross-entropy against the frozen head, or InfoNCE."""
        return chosen_objective(infected, infected.forget, self.objective, self.name)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """The forget set in a seeded order."""
        return batches_of(infected, infected.forget, self.batch_size, "forget order")

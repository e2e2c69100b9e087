"""Fine-tuning on clean pairs: the simplest defence, on which others build."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.training_set import batches_of, chosen_objective


class CleanFineTuning(FineTuning):
    """CLIP's own loss on clean pairs (the 'FT' of CleanCLIP, 2303.03323 §5, and a baseline of 2510.14845).

    CleanCLIP uses 100,000 pairs, batch 64, 10 epochs (15,625 steps), AdamW 1e-5, 50 steps of warm-up. With `objective:
    classification` the image encoder is trained on labelled images against the frozen zero-shot head.
    """

    name: ClassVar[str] = "clean-finetuning"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})

    steps: int = Field(default=15_625, ge=1, description="optimiser steps")
    batch_size: int = Field(default=64, ge=2)
    warmup_steps: int = Field(default=50, ge=0)
    objective: Literal["contrastive", "classification"] = Field(
        default="contrastive", description="loss: InfoNCE, or cross-entropy against the frozen head"
    )

    @property
    def reads_labels(self) -> bool:
        """Whether the loss is of labels."""
        return self.objective == "classification"

    def objective_on(self, infected: Infected) -> Objective:
        """InfoNCE, or cross-entropy against the frozen head."""
        return chosen_objective(infected, infected.clean, self.objective, self.name)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """The clean pairs in a seeded order."""
        return batches_of(infected, infected.clean, self.batch_size, "clean pairs order")

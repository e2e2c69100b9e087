"""Base class of methods that fine-tune the infected model on their own objective, and combining of records."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Objective
from tbar_ray.training.options import Optimisation
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.edit import Edit


class FineTuning(Unlearner):
    """AdamW on one objective; the edit is the weight change."""

    passes: ClassVar[int] = 3
    """Forward passes of the image encoder that a sample of a step costs; a backward pass counts as two."""

    learning_rate: float = Field(default=1e-5, gt=0, description="peak learning rate")
    weight_decay: float = Field(default=0.1, ge=0, description="weight decay of AdamW; none on gains and biases")
    warmup_steps: int = Field(default=0, ge=0, description="steps of linear warm-up of the learning rate")
    steps: int = Field(default=20, ge=1, description="optimiser steps")
    batch_size: int = Field(default=128, ge=2, description="samples per step")
    schedule: Literal["cosine", "constant"] = Field(default="cosine", description="learning-rate schedule")
    freeze_batch_norm: bool = Field(default=True, description="keep BatchNorm statistics, which are not weights, fixed")

    @abstractmethod
    def objective_on(self, infected: Infected) -> Objective:
        """The loss that is minimised."""

    @abstractmethod
    def batches_from(self, infected: Infected) -> Iterable[Batch]:
        """At least `steps` training batches."""

    def find(self, infected: Infected) -> Unlearned:
        """Fine-tune, and take the weight change."""
        record = self.fit_on(infected, self.objective_on(infected), self.batches_from(infected))
        return Unlearned(Edit(infected.change()), record)

    def fit_on(self, infected: Infected, objective: Objective, batches: Iterable[Batch]) -> TrainingRecord:
        """Train the model in place, with the method's hyper-parameters."""
        return train(
            objective,
            batches,
            self.steps,
            Optimisation(
                learning_rate=self.learning_rate,
                weight_decay=self.weight_decay,
                warmup_steps=self.warmup_steps,
                schedule=self.schedule,
            ),
            freeze_batch_norm=self.freeze_batch_norm,
            progress=infected.progress,
        )


def combined(records: Iterable[TrainingRecord]) -> TrainingRecord:
    """Combine the records of several trainings: sums, and losses in sequence."""
    total = TrainingRecord()
    for record in records:
        total.losses += [(total.steps + step, loss) for step, loss in record.losses]
        total.steps += record.steps
        total.samples += record.samples
        total.seconds += record.seconds
        total.waiting += record.waiting
    return total

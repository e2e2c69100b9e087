"""NegMerge: several trigger vectors, kept where all agree in sign (2410.05583)."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import torch
from pydantic import Field

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.seeding import stable_hash
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.methods.tbar import TBAR


class NegMerge(TBAR):
    """θ_b − α·mean of the trigger vectors of several forget fine-tunings, 0 wherever their signs differ.

    2410.05583 §3 merges fine-tunings that differ in hyper-parameters (5 to 10 % of the weights are kept). Here they
    differ in the order of the images and in the learning rate, which is spaced geometrically over
    [rate/spread, rate·spread].
    """

    name: ClassVar[str] = "tbar-negmerge"

    vectors: int = Field(default=4, ge=2, description="number of forget fine-tunings")
    spread: float = Field(
        default=2.0, ge=1, description="maximum factor between a fine-tuning's learning rate and the given one"
    )

    def find(self, infected: Infected) -> Unlearned:
        """Fine-tune several times and merge the vectors."""
        vectors: list[TaskVector] = []
        records: list[TrainingRecord] = []
        for number in range(self.vectors):
            power = 2 * number / (self.vectors - 1) - 1
            method = self.model_copy(update={"learning_rate": self.learning_rate * self.spread**power})
            again = replace(infected, seed=stable_hash(infected.seed, "negmerge", number))
            records.append(method.fit_on(again, method.objective_on(again), method.batches_from(again)))
            vectors.append(infected.change())
            infected.restore()
        merged = agreeing(vectors)
        kept = sum(int((v != 0).sum()) for v in merged.tensors.values())
        moved = sum(int((v != 0).sum()) for v in vectors[0].tensors.values())
        return Unlearned(Edit(merged), combined(records), {"share_kept": kept / max(1, moved)})


def agreeing(vectors: list[TaskVector]) -> TaskVector:
    """Mean of the vectors where all have the same sign, 0 elsewhere."""
    tensors = {}
    for name in vectors[0].tensors:
        stack = torch.stack([vector.tensors[name] for vector in vectors])
        agree = (stack > 0).all(0) | (stack < 0).all(0)
        tensors[name] = torch.where(agree, stack.mean(0), torch.zeros_like(stack[0]))
    return TaskVector(tensors, vectors[0].integer_buffers)

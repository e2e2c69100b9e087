"""TBAR without the part of the vector that only means 'predict the target'."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.methods.refined import RefinedTBAR


class DebiasedTBAR(RefinedTBAR):
    """θ_b − α·(τ − share·proj_v τ), where v is learned by fine-tuning *clean* twins towards the target.

    Fine-tuning stamped images towards the target teaches two things: the meaning of the trigger, and a bias towards
    the target for any image. v contains only the bias.
    """

    name: ClassVar[str] = "tbar-debiased"

    share: float = Field(default=1.0, ge=0, le=2, description="share of the projection on v that is removed")
    per: Literal["tensor", "whole"] = Field(
        default="whole", description="scope of the projection: each tensor, or the whole vector"
    )

    def refine(self, found: Unlearned, infected: Infected) -> Unlearned:
        """Learn the vector of the bias, and remove the projection."""
        forget = infected.forget
        rows = forget.triggered
        twins = shuffled(forget.twins[rows], forget.labels[rows], forget.tokens[rows], batch_size=self.batch_size,
                         seed=infected.seed, purpose="forget order")  # fmt: skip
        record = self.fit_on(infected, self.objective_on(infected), twins)
        towards = infected.change()
        vector = without(found.edit.vector, towards, self.share, self.per)
        facts = {"cosine": found.edit.vector.cosine(towards)}
        return Unlearned(Edit(vector), combined([found.record, record]), facts)


def without(vector: TaskVector, other: TaskVector, share: float, per: str) -> TaskVector:
    """Subtract a share of the vector's projection on another, per tensor or over the whole vector."""
    names = list(vector.tensors)
    dots = torch.stack([(vector.tensors[n].double() * other.tensors[n].double()).sum() for n in names])
    squares = torch.stack([other.tensors[n].double().square().sum() for n in names])
    if per == "whole":
        dots, squares = dots.sum().expand_as(dots), squares.sum().expand_as(squares)
    factors = torch.where(squares > 0, dots / squares.clamp_min(1e-300), torch.zeros_like(dots))
    tensors = {
        n: vector.tensors[n] - (share * float(factor)) * other.tensors[n]
        for n, factor in zip(names, factors, strict=True)
    }
    return TaskVector(tensors, vector.integer_buffers)

"""TBAR with a trigger vector weighted by Fisher information."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.objectives import image_parameters
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.labelled import logits_of
from tbar_ray.unlearning.methods.refined import RefinedTBAR


class FisherTBAR(RefinedTBAR):
    """θ_b − α·w∘τ, w_i = F_i(stamped) / (F_i(stamped) + clean_weight·F_i(twins)).

    F is the diagonal Fisher information of the infected model at its own predictions, estimated from squared gradients
    of small groups of images. A weight that matters for stamped but not for clean images moves as far as in TBAR.
    """

    name: ClassVar[str] = "tbar-fisher"

    clean_weight: float = Field(default=1.0, ge=0, description="weight of the Fisher information of clean images")
    fisher_images: int = Field(default=128, ge=4, description="images of each kind used to estimate F")
    group: int = Field(default=4, ge=1, description="images per squared mean gradient; 1 gives the exact definition")

    def refine(self, found: Unlearned, infected: Infected) -> Unlearned:
        """Weight the vector."""
        started = time.perf_counter()
        forget = infected.forget
        rows = torch.nonzero(forget.triggered).flatten()[: self.fisher_images]
        stamped = fisher(infected, forget.images[rows], self.group)
        twins = fisher(infected, forget.twins[rows], self.group)
        tensors = {
            name: value * weights(stamped[name], twins[name], self.clean_weight) if name in stamped else value
            for name, value in found.edit.vector.tensors.items()
        }
        cost = TrainingRecord(samples=2 * len(rows), seconds=time.perf_counter() - started)
        vector = TaskVector(tensors, found.edit.vector.integer_buffers)
        kept = vector.norm() / max(found.edit.vector.norm(), 1e-12)
        return Unlearned(Edit(vector), combined([found.record, cost]), {"norm_kept": kept})


def weights(stamped: Tensor, twins: Tensor, clean_weight: float) -> Tensor:
    """The weight F_s / (F_s + λ·F_t), elementwise in [0, 1]; 1 where both are 0."""
    whole = stamped + clean_weight * twins
    return torch.where(whole > 0, stamped / whole.clamp_min(torch.finfo(whole.dtype).tiny), torch.ones_like(whole))


def fisher(infected: Infected, images: Tensor, group: int) -> dict[str, Tensor]:
    """Mean squared gradient of log p(predicted class) for each weight of the image encoder, by name."""
    named = image_parameters(infected.model)
    total = {name: torch.zeros_like(p) for name, p in named.items()}
    parts = torch.split(images, group)
    for part in parts:
        chances = logits_of(infected, part).log_softmax(-1)
        likely = chances.gather(1, chances.detach().argmax(-1, keepdim=True)).mean()
        gradients = torch.autograd.grad(likely, list(named.values()))
        for name, gradient in zip(named, gradients, strict=True):
            total[name] += gradient.square()
    return {name: value / len(parts) for name, value in total.items()}

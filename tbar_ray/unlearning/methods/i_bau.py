"""I-BAU: adversarial unlearning of backdoors by minimax optimisation (2110.03735)."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.errors import ScientificError
from tbar_ray.training.objectives import image_parameters
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import LabelledPairs, logits_of


class IBAU(Unlearner):
    """min_θ max_{‖δ‖₂ ≤ C} mean CE(f_θ(x + δ), y): repeatedly unlearn the worst universal perturbation.

    2110.03735 §5: 5 rounds; Adam 1e-4; the outer gradient is an implicit hypergradient by 5 fixed-point steps. Here it
    is the direct gradient at the inner maximiser (Danskin's theorem, exact if the maximiser is unique), which is
    cheaper but ignores the response of δ to θ. All images share δ, in pixels of [0, 1].
    """

    name: ClassVar[str] = "i-bau"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})

    rounds: int = Field(default=5, ge=1, description="rounds of inner and outer optimisation")
    inner_steps: int = Field(default=5, ge=1, description="steps of the perturbation per round")
    outer_steps: int = Field(default=10, ge=1, description="steps of the model per round")
    radius: float = Field(default=4.0, gt=0, description="C, maximum Euclidean norm of δ, in levels of [0, 1]")
    inner_rate: float = Field(default=1.0, gt=0, description="step of the perturbation along its normalised gradient")
    learning_rate: float = Field(default=1e-4, gt=0, description="learning rate of the model")
    clean_weight: float = Field(default=1.0, ge=0, description="weight of the loss on unperturbed images")
    batch_size: int = Field(default=128, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Alternate inner ascent and outer descent for `rounds` rounds."""
        started, record = time.perf_counter(), TrainingRecord()
        pairs = LabelledPairs(infected, self.name)
        batches = pairs.batches(self.batch_size)
        parameters = list(image_parameters(infected.model).values())
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
        total = self.rounds * (self.inner_steps + self.outer_steps)
        norms: list[float] = []
        for _ in range(self.rounds):
            delta = torch.zeros(1, *pairs.images.shape[1:], device=infected.device)
            for _ in range(self.inner_steps):
                batch = next(batches)
                delta = self._ascend(infected, delta, batch.images, batch.labels)
                record.steps, record.samples = record.steps + 1, record.samples + len(batch)
            norms.append(float(delta.norm()))
            for _ in range(self.outer_steps):
                batch = next(batches)
                loss = self._loss(infected, batch.images, batch.labels, delta)
                if self.clean_weight:
                    loss = loss + self.clean_weight * self._loss(infected, batch.images, batch.labels, None)
                if not bool(torch.isfinite(loss)):
                    raise ScientificError(
                        f"{self.name}: training diverged in round {len(norms)}; lower the learning rate"
                    )
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                record.steps = record.steps + 1
                record.samples += len(batch) * (2 if self.clean_weight else 1)
            record.losses.append((record.steps, float(loss.detach())))
            if infected.progress is not None:
                seconds = time.perf_counter() - started
                infected.progress(record.steps, total, float(loss.detach()), record.samples / seconds)
        infected.model.zero_grad(set_to_none=True)
        record.seconds = time.perf_counter() - started
        return Unlearned(Edit(infected.change()), record, {"perturbation_norms": norms})

    def _ascend(self, infected: Infected, delta: Tensor, images: Tensor, labels: Tensor | None) -> Tensor:
        """One step of the perturbation along its gradient, projected back into the ball."""
        delta = delta.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self._loss(infected, images, labels, delta), delta)
        moved = delta.detach() + self.inner_rate * gradient / (gradient.norm() + 1e-12)
        return in_ball(moved, self.radius)

    def _loss(self, infected: Infected, images: Tensor, labels: Tensor | None, delta: Tensor | None) -> Tensor:
        assert labels is not None
        return functional.cross_entropy(logits_of(infected, images, delta=delta), labels.to(infected.device))


def in_ball(delta: Tensor, radius: float) -> Tensor:
    """Project a perturbation to a Euclidean norm of at most `radius`."""
    return delta * min(1.0, radius / max(float(delta.norm()), 1e-12))

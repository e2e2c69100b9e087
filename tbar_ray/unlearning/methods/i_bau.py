"""I-BAU: adversarial unlearning of backdoors by minimax optimisation (2110.03735)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from tbar_ray.errors import ScientificError
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import image_parameters
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import LabelledPairs, logits_of

FIXED_POINT_RATE = 0.1
"""Step of the gradient ascent whose fixed point δ is taken to be, in the hypergradient of the published code."""


class IBAU(Unlearner):
    """min_θ max_δ mean CE(f_θ(x + δ), y): repeatedly unlearn the worst perturbation that all images share.

    As published (2110.03735 §5 and its code), in each of 5 rounds: δ starts at 0 and takes one step of SGD at rate 10
    per batch along CE(f(x + δ), f's own answer to x) − 0.001·‖δ‖²; then Adam at 1e-3 takes one step per batch on the
    hypergradient of CE(f(x + δ), y), where 1 % of a batch is perturbed. The hypergradient takes δ for a fixed point of
    gradient ascent on the first batch and sums 5 terms of its response to θ. 5,000 clean images in batches of 100; δ in
    levels of [0, 1], not clamped. The paper bounds ‖δ‖₂ (`radius`), its code does not. Not as published: batches are
    shuffled, and at least one image of a batch is perturbed.

    Other configurations: BackdoorBench uses Adam at 1e-4 and batches of 256. `fixed_point_steps: 0` is the direct
    gradient (Danskin's theorem), which is cheaper and ignores the response of δ to θ.
    """

    name: ClassVar[str] = "i-bau"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})
    labelled: ClassVar[bool] = True

    samples: int = Field(default=5000, ge=2, description="clean images used")
    rounds: int = Field(default=5, ge=1, description="rounds of inner and outer optimisation")
    inner_steps: int | None = Field(
        default=None, ge=1, description="steps of the perturbation per round; null: one pass over the images"
    )
    outer_steps: int | None = Field(
        default=None, ge=1, description="steps of the model per round; null: one pass over the images"
    )
    radius: float | None = Field(
        default=None, gt=0, description="maximum Euclidean norm of δ, in levels of [0, 1]; null: no maximum"
    )
    penalty: float = Field(default=0.001, ge=0, description="weight of ‖δ‖² in the loss of the perturbation")
    inner_rate: float = Field(default=10.0, gt=0, description="learning rate of the perturbation")
    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate of the model")
    fixed_point_steps: int = Field(default=5, ge=0, description="terms of the hypergradient; 0: the direct gradient")
    perturbed: float = Field(default=0.01, gt=0, le=1, description="share of a batch that is perturbed, at least one")
    batch_size: int = Field(default=100, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Alternate inner ascent and outer descent for `rounds` rounds."""
        started, record = time.perf_counter(), TrainingRecord()
        pairs = LabelledPairs(infected, self.name, self.samples)
        batches = pairs.batches(self.batch_size)
        passed = -(-len(pairs.labels) // self.batch_size)
        inner, outer = self.inner_steps or passed, self.outer_steps or passed
        first = Batch(pairs.images[: self.batch_size], None, pairs.labels[: self.batch_size])
        parameters = list(image_parameters(infected.model).values())
        optimizer = torch.optim.Adam(parameters, lr=self.learning_rate)
        norms: list[float] = []
        for number in range(self.rounds):
            delta = torch.zeros(1, *pairs.images.shape[1:], device=infected.device)
            for _ in range(inner):
                batch = next(batches)
                delta = self._ascend(infected, delta, batch)
                record.steps, record.samples = record.steps + 1, record.samples + 2 * len(batch)
            norms.append(float(delta.norm()))
            for step in range(outer):
                batch = next(batches)
                rows = self._chosen(infected, len(batch), number * outer + step)
                loss, gradients = self._gradients(infected, delta, batch, rows, first, parameters)
                if not bool(torch.isfinite(loss)):
                    raise ScientificError(
                        f"{self.name}: training diverged in round {len(norms)}; lower learning_rate or inner_rate"
                    )
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.grad = gradient
                optimizer.step()
                record.steps = record.steps + 1
                record.samples += len(batch) + (len(first) if self.fixed_point_steps else 0)
            record.losses.append((record.steps, float(loss)))
            if infected.progress is not None:
                seconds = time.perf_counter() - started
                infected.progress(record.steps, self.rounds * (inner + outer), float(loss), record.samples / seconds)
        infected.model.zero_grad(set_to_none=True)
        record.seconds = time.perf_counter() - started
        return Unlearned(Edit(infected.change()), record, {"perturbation_norms": norms})

    def _ascend(self, infected: Infected, delta: Tensor, batch: Batch) -> Tensor:
        """One step of the perturbation, away from the model's own answers to the clean images."""
        with torch.no_grad():
            answers = logits_of(infected, batch.images).argmax(1)
        delta = delta.detach().requires_grad_(True)
        loss = self._adversary(infected, delta, batch.images, answers)
        (gradient,) = torch.autograd.grad(loss, delta)
        moved = delta.detach() - self.inner_rate * gradient
        return moved if self.radius is None else in_ball(moved, self.radius)

    def _adversary(self, infected: Infected, delta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        """What the perturbation minimises: −CE(f(x + δ), labels) + penalty·‖δ‖²."""
        logits = logits_of(infected, images, delta=delta)
        return self.penalty * delta.square().sum() - functional.cross_entropy(logits, labels)

    def _chosen(self, infected: Infected, size: int, step: int) -> Tensor:
        """Rows of a batch that are perturbed, int64 [max(1, ⌊perturbed·size⌋)]."""
        draw = torch_generator(infected.seed, "i-bau perturbed rows", step)
        return torch.randperm(size, generator=draw)[: max(1, int(self.perturbed * size))]

    def _gradients(
        self, infected: Infected, delta: Tensor, batch: Batch, rows: Tensor, first: Batch, parameters: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor]]:
        """The outer loss, and its (hyper)gradient with respect to the parameters."""
        assert batch.labels is not None
        assert first.labels is not None
        delta = delta.detach().requires_grad_(True)
        mask = torch.zeros(len(batch), 1, 1, 1, device=infected.device)
        mask[rows.to(infected.device)] = 1
        logits = logits_of(infected, batch.images, delta=mask * delta)
        loss = functional.cross_entropy(logits, batch.labels.to(infected.device))
        if not self.fixed_point_steps:
            return loss.detach(), list(torch.autograd.grad(loss, parameters))
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            adversary = self._adversary(infected, delta, first.images, first.labels.to(infected.device))
            (slope,) = torch.autograd.grad(adversary, delta, create_graph=True)
        return loss.detach(), hypergradient(
            loss, delta - FIXED_POINT_RATE * slope, delta, parameters, self.fixed_point_steps
        )


def hypergradient(
    loss: Tensor, mapped: Tensor, delta: Tensor, parameters: Sequence[Tensor], steps: int
) -> list[Tensor]:
    """dL/dθ where δ(θ) is the fixed point of a map, by `steps` steps of a fixed-point iteration (Grazzi et al. 2020).

    v ← (∂map/∂δ)ᵀ v + ∂L/∂δ from v = 0, then dL/dθ ≈ ∂L/∂θ + (∂map/∂θ)ᵀ v.

    Args:
        loss: L(δ, θ), a scalar with its graph.
        mapped: the map at (δ, θ), with its graph.
        delta: δ, a leaf.
        parameters: θ.
        steps: of the iteration, at least 1.
    """
    outer, *direct = torch.autograd.grad(loss, [delta, *parameters])
    response = torch.zeros_like(delta)
    for _ in range(steps):
        (back,) = torch.autograd.grad(mapped, delta, response, retain_graph=True)
        response = back + outer
    indirect = torch.autograd.grad(mapped, list(parameters), response, allow_unused=True)
    return [one if other is None else one + other for one, other in zip(direct, indirect, strict=True)]


def in_ball(delta: Tensor, radius: float) -> Tensor:
    """Project a perturbation to a Euclidean norm of at most `radius`."""
    return delta * min(1.0, radius / max(float(delta.norm()), 1e-12))

"""aTLAS for unlearning: a learned scaling coefficient per tensor or block (2407.02880)."""

from __future__ import annotations

import dataclasses
import time
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.errors import DataError, ScientificError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.blocks import blocks_of
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.seeding import torch_generator
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.labelled import logits_of
from tbar_ray.unlearning.methods.tbar import TBAR


class ATLAS(TBAR):
    """θ_b − α·Σ_k a_k·τ_k, with coefficients a learned on a part of the forget set that τ was not learned on.

    They minimise KL(f_b(x) ‖ f(T(x))) + hold·KL(f_b(x) ‖ f(x)) over held-out twins x: predictions on stamped images
    match the infected model's predictions on their twins, and predictions on twins are unchanged. There is one
    coefficient per tensor (as in 2407.02880) or per residual block. They start at `first` and are learned by AdamW; α
    scales all of them, and α = 1 applies the learned values.
    """

    name: ClassVar[str] = "tbar-atlas"

    granularity: Literal["tensor", "block"] = Field(default="tensor", description="unit that gets one coefficient")
    validation: float = Field(
        default=0.33, gt=0, lt=1, description="share of the forget set used to learn the coefficients"
    )
    first: float = Field(default=1.0, description="initial value of all coefficients")
    coefficient_rate: float = Field(default=0.1, gt=0, description="learning rate of the coefficients")
    coefficient_steps: int = Field(default=50, ge=1, description="optimiser steps for the coefficients")
    hold: float = Field(default=1.0, ge=0, description="weight of the term that preserves predictions on twins")

    def find(self, infected: Infected) -> Unlearned:
        """Learn τ on one part of the forget set and the coefficients on the other."""
        forget = infected.forget
        rows = torch.nonzero(forget.triggered).flatten()
        order = rows[torch.randperm(len(rows), generator=torch_generator(infected.seed, "atlas split"))]
        count = max(1, round(self.validation * len(order)))
        if count >= len(order):
            raise DataError(f"{self.name}: {len(order)} triggered images cannot be split in two; raise forget.size")
        fields = ("images", "twins", "tokens", "labels", "triggered")
        kept = order[count:]
        part = dataclasses.replace(forget, **{field: getattr(forget, field)[kept] for field in fields})
        learner = dataclasses.replace(infected, data=dataclasses.replace(infected.data, forget=part))
        found = super().find(learner)
        infected.restore()
        groups = self._groups(infected, found.edit.vector)
        coefficients, record = self._fit(
            infected, found.edit.vector, groups, forget.twins[order[:count]], forget.images[order[:count]]
        )
        tensors = {
            name: value * float(coefficients[groups[name]]) if name in groups else value
            for name, value in found.edit.vector.tensors.items()
        }
        facts = {
            "coefficients": len(coefficients),
            "least": float(coefficients.min()),
            "largest": float(coefficients.max()),
        }
        vector = TaskVector(tensors, found.edit.vector.integer_buffers)
        return Unlearned(Edit(vector), combined([found.record, record]), facts)

    def _groups(self, infected: Infected, vector: TaskVector) -> dict[str, int]:
        """Index of the coefficient of every tensor that τ changes."""
        moving = [name for name, value in vector.tensors.items() if bool(value.any())]
        if self.granularity == "tensor":
            return {name: number for number, name in enumerate(moving)}
        blocks = [f"visual.{name}." for name in blocks_of(infected.model, self.name)]
        home = {name: next((b for b in blocks if name.startswith(b)), "rest") for name in moving}
        numbers = {block: number for number, block in enumerate(dict.fromkeys(home.values()))}
        return {name: numbers[block] for name, block in home.items()}

    def _fit(
        self, infected: Infected, vector: TaskVector, groups: dict[str, int], twins: Tensor, stamped: Tensor
    ) -> tuple[Tensor, TrainingRecord]:
        started, record = time.perf_counter(), TrainingRecord()
        model, device = infected.model, infected.device
        values = torch.full((max(groups.values()) + 1,), self.first, device=device, requires_grad=True)
        optimizer = torch.optim.AdamW([values], lr=self.coefficient_rate, weight_decay=0.0)
        base = {name: infected.start[name].to(device) for name in groups}
        deltas = {name: vector.tensors[name].to(device) for name in groups}
        scale = model.logit_scale.detach().exp()  # type: ignore[operator]
        size = min(self.batch_size, len(twins))
        for step in range(self.coefficient_steps):
            draw = torch_generator(infected.seed, "atlas batch", step)
            rows = torch.randperm(len(twins), generator=draw)[:size]
            with torch.no_grad():
                wanted = logits_of(infected, twins[rows]).log_softmax(-1)
            weights = {
                n.removeprefix("visual."): base[n] - values[k] * deltas[n]
                for n, k in groups.items()
                if n.startswith("visual.")
            }
            pixels = normalise(torch.cat((stamped[rows], twins[rows])).to(device), infected.preprocessing)
            embeddings = torch.func.functional_call(model.visual, weights, (pixels,))  # type: ignore[arg-type]
            found = (scale * functional.normalize(embeddings, dim=-1) @ infected.classes.head.T).log_softmax(-1)
            changed, held = found.chunk(2)
            loss = _kl(changed, wanted) + self.hold * _kl(held, wanted)
            if not bool(torch.isfinite(loss)):
                raise ScientificError(f"{self.name}: the coefficients diverged at step {step}; lower coefficient_rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            record.steps, record.samples = step + 1, record.samples + 3 * size
        record.losses.append((record.steps, float(loss.detach())))
        record.seconds = time.perf_counter() - started
        return values.detach().cpu(), record


def _kl(found: Tensor, wanted: Tensor) -> Tensor:
    """KL(wanted ‖ found) of log-probabilities [B, C], averaged over the batch."""
    return functional.kl_div(found, wanted, log_target=True, reduction="batchmean")

"""RVPT: repulsive visual prompt tuning (2412.20392)."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.errors import ScientificError
from tbar_ray.models.blocks import outputs_of
from tbar_ray.models.visual_prompts import prompted, transformer_blocks
from tbar_ray.seeding import torch_generator
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import LabelledPairs, logits_of


class RVPT(Unlearner):
    """Learned tokens in deep layers of a frozen CLIP: L = CE + repulsion·mean_l cos(prompted CLS_l, original CLS_l).

    The tokens push the class token's features away from the infected model's, towards features needed for the labels.
    2412.20392 §4: 50 tokens per layer from layer 3 on, weight 2, SGD 0.002, batch 32, 50 epochs of 16 images per class
    (ImageNet: 25,000 steps). The weights are unchanged; the edit is the tokens. Vision transformers only.

    Implemented from secondary sources.
    """

    name: ClassVar[str] = "rvpt"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})
    labelled: ClassVar[bool] = True

    tokens: int = Field(default=50, ge=1, description="learned tokens per layer")
    first_layer: int = Field(default=3, ge=1, description="first layer with learned tokens, counted from 1")
    repulsion: float = Field(default=2.0, ge=0, description="weight of the cosine to the infected features")
    learning_rate: float = Field(default=0.002, gt=0, description="learning rate of the learned tokens")
    steps: int = Field(default=25_000, ge=1, description="optimiser steps")
    batch_size: int = Field(default=32, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Learn the tokens on the labelled clean pairs."""
        started, record = time.perf_counter(), TrainingRecord()
        model = infected.model
        blocks = transformer_blocks(model, self.name)
        layers = len(blocks) - self.first_layer + 1
        if layers < 1:
            raise ScientificError(
                f"{self.name}: first_layer {self.first_layer} of {len(blocks)} blocks leaves no layer; lower it"
            )
        pairs = LabelledPairs(infected, self.name)
        width = int(model.visual.class_embedding.shape[-1])  # type: ignore[union-attr,index]
        draw = torch_generator(infected.seed, "rvpt tokens")
        bound = (6 / (3 * 16 * 16 + width)) ** 0.5  # visual prompt tuning's initialisation, for patches of 16 px
        start = (2 * torch.rand(layers, self.tokens, width, generator=draw) - 1) * bound
        prompts = start.to(infected.device).requires_grad_(True)
        optimizer = torch.optim.SGD([prompts], lr=self.learning_rate, momentum=0.9)
        model.requires_grad_(False)
        try:
            for step, batch in zip(range(self.steps), pairs.batches(self.batch_size), strict=False):
                assert batch.labels is not None
                with torch.no_grad(), outputs_of(list(blocks)[-layers:]) as old:
                    logits_of(infected, batch.images)
                with prompted(model, prompts), outputs_of(list(blocks)[-layers:]) as new:
                    logits = logits_of(infected, batch.images)
                loss = functional.cross_entropy(logits, batch.labels.to(infected.device))
                loss = loss + self.repulsion * mean_cosine(new, old)
                if not bool(torch.isfinite(loss)):
                    raise ScientificError(f"{self.name}: training diverged at step {step}; lower the learning rate")
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                record.steps, record.samples = step + 1, record.samples + 2 * len(batch)
                if infected.progress is not None and step % 10 == 0:
                    seconds = time.perf_counter() - started
                    infected.progress(step + 1, self.steps, float(loss.detach()), record.samples / seconds)
            record.losses.append((record.steps, float(loss.detach())))
        finally:
            model.requires_grad_(True)
        record.seconds = time.perf_counter() - started
        return Unlearned(Edit(infected.change(), prompts=prompts.detach().cpu()), record, {"layers": layers})


def mean_cosine(new: list[Tensor], old: list[Tensor]) -> Tensor:
    """Mean over layers and images of the cosine between the class tokens of outputs [B, tokens, D]."""
    cosines = [functional.cosine_similarity(n[:, 0], o[:, 0], dim=-1).mean() for n, o in zip(new, old, strict=True)]
    return torch.stack(cosines).mean()

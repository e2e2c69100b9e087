"""FT-SAM: fine-tuning on clean images with sharpness-aware minimisation (2304.11823)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.training.optimisation import sgd
from tbar_ray.training.options import Optimisation
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import LabelledPairs, logits_of


class FTSAM(Unlearner):
    """SGD on the gradient at θ + ε, where ε = ρ·T²g / ‖T·g‖ and T = |θ| is the adaptive scale (ASAM, 2102.11600).

    Backdoor neurons have large weights, which adaptive perturbation shrinks. As published (2304.11823 §4, with its
    configuration for CIFAR-10 in BackdoorBench): ρ 2, SGD 0.01 with momentum 0.9 and decay 5e-4 on a cosine, batch 256,
    5 % of the data for 100 epochs; 5 % of 500,000 pairs make 9,766 steps. The label has 1 − `smoothing` = 0.9, and the
    other C − 1 classes share the rest. Not as published: gradients are clipped at norm 1, as in most methods of this
    package, and BatchNorm keeps its statistics.
    """

    name: ClassVar[str] = "ft-sam"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})
    labelled: ClassVar[bool] = True

    learning_rate: float = Field(default=0.01, gt=0, description="learning rate")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="momentum of SGD")
    weight_decay: float = Field(default=5e-4, ge=0, description="weight decay of SGD")
    rho: float = Field(default=2.0, gt=0, description="ρ, size of the perturbation")
    smoothing: float = Field(default=0.1, ge=0, lt=1, description="share of the classes that are not the label")
    steps: int = Field(default=9_766, ge=1, description="optimiser steps; each computes two gradients")
    batch_size: int = Field(default=256, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Fine-tune on the labelled clean pairs."""
        pairs = LabelledPairs(infected, self.name)
        record = train(
            _SharpnessAware(infected, self),
            pairs.batches(self.batch_size),
            self.steps,
            Optimisation(learning_rate=self.learning_rate, weight_decay=self.weight_decay),
            freeze_batch_norm=True,
            optimizer_for=sgd(self.momentum),
            progress=infected.progress,
        )
        record.samples *= 2  # every image is processed at θ and at θ + ε
        return Unlearned(Edit(infected.change()), record)


class _SharpnessAware(Objective):
    """The loss at the worst point near the weights; its gradient is applied to the weights."""

    def __init__(self, infected: Infected, method: FTSAM) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._infected, self._method = infected, method

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder, by name."""
        return image_parameters(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Loss at θ + ε, with the gradient at that point."""
        assert batch.labels is not None
        named = self.named_parameters()
        gradients = torch.autograd.grad(self._plain(batch), list(named.values()))
        worst = perturbation(named, dict(zip(named, gradients, strict=True)), self._method.rho)
        moved = {name.removeprefix("visual."): value + worst[name] for name, value in named.items()}
        return self._plain(batch, moved)

    def _plain(self, batch: Batch, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        labels, smoothing = batch.labels, self._method.smoothing
        assert labels is not None
        if weights is None:
            return smoothed(logits_of(self._infected, batch.images), labels, smoothing)
        pixels = normalise(batch.images, self.preprocessing)
        visual = self.model.visual
        features = functional.normalize(torch.func.functional_call(visual, dict(weights), (pixels,)), dim=-1)  # type: ignore[arg-type]
        logits = self.model.logit_scale.exp() * features @ self._infected.classes.head.T  # type: ignore[operator]
        return smoothed(logits, labels, smoothing)


def smoothed(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Mean CE of logits [B, C] with 1 − smoothing on the label and smoothing / (C − 1) on every other class.

    The constant entropy that makes it a divergence in the published code is left out. PyTorch's `label_smoothing`
    spreads over all C classes.
    """
    chances = logits.log_softmax(-1)
    right = chances.gather(1, labels[:, None]).squeeze(1)
    others = (chances.sum(1) - right) / (logits.shape[1] - 1)
    return -((1 - smoothing) * right + smoothing * others).mean()


def perturbation(weights: Mapping[str, Tensor], gradients: Mapping[str, Tensor], rho: float) -> dict[str, Tensor]:
    """The perturbation ε = ρ·T²g / ‖T·g‖ with T = |θ|, by parameter name."""
    scaled = {name: value.detach().abs() * gradients[name] for name, value in weights.items()}
    norm = torch.sqrt(sum((value.square().sum() for value in scaled.values()), torch.zeros(())))
    size = rho / (norm + torch.finfo(norm.dtype).tiny)
    return {name: size * weights[name].detach().abs() * value for name, value in scaled.items()}

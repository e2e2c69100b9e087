"""PAR: perturb and recover (2412.00727)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.texts import encode_texts
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.methods.cleanclip import info_nce


class PAR(FineTuning):
    """L = L_CLIP − ½·(1[S_φ ≤ τ]·S_φ + 1[S_ψ ≤ τ]·S_ψ), with S = mean ‖e − e_b‖² between unit embeddings.

    S compares the trained model with the infected one, on images (φ) and texts (ψ). The embeddings are pushed away from
    the infected model's while the clean loss keeps pairs together.

    As published (2412.00727 §4 and its code): τ 2.15, weight ½, AdamW with decay 1e-4, 250,000 pairs in batches of
    2,048 for 2 to 10 epochs (the default is 10: 1,220 steps), a fixed temperature. Not as published: the learning rate
    follows a cosine from 3e-5 to 0; theirs falls linearly from 3e-5 to 3e-6 over half the epochs, then on a cosine to
    1e-9.
    """

    name: ClassVar[str] = "par"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})

    learning_rate: float = Field(default=3e-5, gt=0, description="peak learning rate")
    weight_decay: float = Field(default=1e-4, ge=0)
    steps: int = Field(default=1220, ge=1, description="optimiser steps")
    batch_size: int = Field(default=2048, ge=2)
    threshold: float = Field(default=2.15, gt=0, le=4, description="τ, distance up to which embeddings are pushed away")
    perturbation: float = Field(default=0.5, ge=0, description="weight of the two distances")

    def objective_on(self, infected: Infected) -> Objective:
        """The clean loss minus the bounded distances from the infected model."""
        return _Perturbation(infected, self)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """The clean pairs in a seeded order."""
        clean = infected.clean
        return shuffled(
            clean.images, None, clean.tokens, batch_size=self.batch_size, seed=infected.seed, purpose="par order"
        )


class _Perturbation(Objective):
    def __init__(self, infected: Infected, method: PAR) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._scale = infected.model.logit_scale.detach().exp().clone()  # type: ignore[operator]
        self._teacher = copy.deepcopy(infected.model).eval().requires_grad_(False)
        self._method = method

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """All parameters but the temperature, by name."""
        return {name: value for name, value in super().named_parameters().items() if name != "logit_scale"}

    def loss(self, batch: Batch) -> Tensor:
        """Loss of a batch of pairs."""
        assert batch.tokens is not None
        pixels = normalise(batch.images, self.preprocessing)
        images = self.model.encode_image(pixels, normalize=True)  # type: ignore[operator]
        texts = encode_texts(self.model, batch.tokens)
        with torch.no_grad():
            old_images = self._teacher.encode_image(pixels, normalize=True)  # type: ignore[operator]
            old_texts = encode_texts(self._teacher, batch.tokens)
        driven = bounded_distance(images, old_images, self._method.threshold)
        driven = driven + bounded_distance(texts, old_texts, self._method.threshold)
        loss = info_nce(images, texts, self._scale)
        return loss - self._method.perturbation * driven


def bounded_distance(found: Tensor, old: Tensor, threshold: float) -> Tensor:
    """S = mean ‖found − old‖² of embeddings [B, D] if S ≤ threshold, else 0."""
    distance = (found - old).square().sum(-1).mean()
    return torch.where(distance <= threshold, distance, torch.zeros_like(distance))

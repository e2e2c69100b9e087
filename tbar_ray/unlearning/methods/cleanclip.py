"""CleanCLIP: contrastive fine-tuning on clean pairs with a self-supervised loss in each modality (2303.03323)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.texts import encode_texts
from tbar_ray.seeding import numpy_rng, torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.eda import augmented_text
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.mixing import varied


class CleanCLIP(FineTuning):
    """L = L_CLIP + weight·(CE(image → augmented image) + CE(text → augmented text)).

    As published (2303.03323 §4 and its code): weight ½, the self-supervised terms in one direction, from the originals
    to the copies; 100,000 pairs, batch 64, 10 epochs (15,625 steps), AdamW 1e-5, 50 steps of warm-up. Not as published:
    its AutoAugment is replaced by random crops, flips, brightness and contrast; its EDA (1901.11196) is reduced to the
    operations that need no thesaurus.
    """

    name: ClassVar[str] = "cleanclip"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})

    steps: int = Field(default=15_625, ge=1, description="optimiser steps")
    batch_size: int = Field(default=64, ge=2)
    warmup_steps: int = Field(default=50, ge=0)
    self_weight: float = Field(default=0.5, ge=0, description="weight of the two self-supervised losses")
    least_area: float = Field(default=0.5, gt=0, le=1, description="smallest share of an image kept by a crop")

    def objective_on(self, infected: Infected) -> Objective:
        """Sum of the contrastive and the two self-supervised losses."""
        return _CleanCLIPLoss(infected, self.self_weight)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """Pairs followed by their augmented copies."""
        clean = infected.clean
        rows = torch.arange(len(clean))[:, None]
        numbers = shuffled(rows, None, None, batch_size=self.batch_size, seed=infected.seed, purpose="cleanclip order")
        for step, batch in enumerate(numbers):
            chosen = batch.images.flatten()
            images = clean.images[chosen].to(infected.device)
            other = varied(images, torch_generator(infected.seed, "cleanclip images", step), self.least_area)
            rng = numpy_rng(infected.seed, "cleanclip texts", step)
            texts = infected.data.tokenizer([augmented_text(clean.captions[row], rng) for row in chosen.tolist()])
            yield Batch(torch.cat((images, other)), torch.cat((clean.tokens[chosen], texts)))


class _CleanCLIPLoss(Objective):
    def __init__(self, infected: Infected, weight: float) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._weight = weight

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """All parameters of the model, by name."""
        return dict(self.model.named_parameters())

    def loss(self, batch: Batch) -> Tensor:
        """Loss of pairs (first half of the batch) and their augmented copies (second half)."""
        assert batch.tokens is not None
        pixels = normalise(batch.images, self.preprocessing)
        images, other_images = self.model.encode_image(pixels, normalize=True).chunk(2)  # type: ignore[operator]
        texts, other_texts = encode_texts(self.model, batch.tokens).chunk(2)
        scale = self.model.logit_scale.exp()  # type: ignore[operator]
        own = matching(images, other_images, scale) + matching(texts, other_texts, scale)
        return info_nce(images, texts, scale) + self._weight * own


def info_nce(left: Tensor, right: Tensor, scale: Tensor | float) -> Tensor:
    """Symmetric InfoNCE of paired unit embeddings [B, D] at a logit scale."""
    return (matching(left, right, scale) + matching(right, left, scale)) / 2


def matching(left: Tensor, right: Tensor, scale: Tensor | float) -> Tensor:
    """InfoNCE in one direction: CE of finding each row of `left` [B, D] its partner among the rows of `right`."""
    return functional.cross_entropy(scale * left @ right.T, torch.arange(len(left), device=left.device))

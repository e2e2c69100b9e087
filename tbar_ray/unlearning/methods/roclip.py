"""RoCLIP: break poisoned pairs by matching images with other captions from a pool (2303.06854)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.texts import encode_texts
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.methods.cleanclip import info_nce
from tbar_ray.unlearning.mixing import varied


class RoCLIP(FineTuning):
    """InfoNCE in which every `every`-th step replaces each caption's embedding by that of a bank nearest to its image.

    A pre-training defence that 2510.14845 uses as fine-tuning on clean pairs: 100,000 of them make 4,688 steps.

    As published (2303.06854 §4 and its code): the bank holds about 2 % of the captions and is queried with the images'
    embeddings; matched captions get no gradient; augmented images; 5e-5, batch 512, 24 epochs. Not as published:
    matching is in every second step, not in every second epoch; the bank is drawn once from the pairs' captions and
    embedded again at every use, whereas theirs is a queue of the latest embeddings; captions are not augmented; the
    text tower rests in matched steps, in which theirs still decays its weights.
    """

    name: ClassVar[str] = "roclip"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})

    learning_rate: float = Field(default=5e-5, gt=0, description="peak learning rate")
    steps: int = Field(default=4688, ge=1, description="optimiser steps")
    batch_size: int = Field(default=512, ge=2)
    every: int = Field(default=2, ge=1, description="interval, in steps, at which captions are matched")
    bank: float = Field(default=0.02, gt=0, le=1, description="share of the captions in the bank, at least 2")
    least_area: float = Field(default=0.5, gt=0, le=1, description="smallest share of an image kept by a crop")

    def objective_on(self, infected: Infected) -> Objective:
        """InfoNCE with matched captions in every `every`-th step."""
        return _Matched(infected, self)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """Augmented images with their captions."""
        clean = infected.clean
        pairs = shuffled(
            clean.images, None, clean.tokens, batch_size=self.batch_size, seed=infected.seed, purpose="roclip order"
        )
        for step, batch in enumerate(pairs):
            draw = torch_generator(infected.seed, "roclip images", step)
            yield Batch(varied(batch.images, draw, self.least_area), batch.tokens)


class _Matched(Objective):
    def __init__(self, infected: Infected, method: RoCLIP) -> None:
        super().__init__(infected.model, infected.preprocessing)
        tokens = infected.clean.tokens
        size = min(len(tokens), max(2, round(method.bank * len(tokens))))
        order = torch.randperm(len(tokens), generator=torch_generator(infected.seed, "roclip bank"))
        self._bank = tokens[order[:size]].to(infected.device)
        self._every, self._step = method.every, 0

    def loss(self, batch: Batch) -> Tensor:
        """InfoNCE with the captions' own or matched embeddings."""
        assert batch.tokens is not None
        pixels = normalise(batch.images, self.preprocessing)
        images = self.model.encode_image(pixels, normalize=True)  # type: ignore[operator]
        if self._step % self._every == self._every - 1:
            with torch.no_grad():
                bank = encode_texts(self.model, self._bank)
            texts = bank[nearest_rows(images, bank)]
        else:
            texts = encode_texts(self.model, batch.tokens)
        self._step += 1
        return info_nce(images, texts, self.model.logit_scale.exp())  # type: ignore[operator]


def nearest_rows(queries: Tensor, bank: Tensor) -> Tensor:
    """Row of the bank [M, D] with the highest cosine for each unit embedding [B, D], int64 [B]."""
    return (queries.detach() @ bank.T).argmax(1)

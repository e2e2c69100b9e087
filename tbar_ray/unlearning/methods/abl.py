"""ABL, applied after training: isolate the best-fitted training pairs and unlearn them (2110.11571)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.texts import encode_texts
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.training.record import TrainingRecord
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.defender import Need, Pairs
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import FineTuning, combined
from tbar_ray.unlearning.methods.cleanclip import info_nce


class ABL(FineTuning):
    """Anti-backdoor learning on the attacker's training pairs; which of them are poisoned is unknown.

    1. Isolate the share of pairs that the infected model fits best: highest cosine of image and caption, the
    contrastive counterpart of the lowest loss. 2. Minimise InfoNCE on the other pairs and push the
    isolated pairs apart: L = InfoNCE(others) + ascent·mean cosine(isolated).

    2110.11571 §3 isolates 1 % early in training and unlearns it late in training by ascent at 5e-4. This defence
    starts from a trained model, so early isolation is not possible.
    """

    name: ClassVar[str] = "abl"
    needs: ClassVar[frozenset[Need]] = frozenset({"training pairs"})

    learning_rate: float = Field(default=5e-4, gt=0, description="peak learning rate")
    steps: int = Field(default=100, ge=1, description="optimiser steps")
    isolated: float = Field(default=0.01, gt=0, lt=1, description="share of the pairs to isolate")
    ascent: float = Field(default=1.0, ge=0, description="weight of the ascent on isolated pairs")

    def find(self, infected: Infected) -> Unlearned:
        """Isolate the best-fitted pairs, then train."""
        scores, scoring = agreement(infected, infected.training)
        count = max(2, round(self.isolated * len(scores)))
        best = torch.zeros(len(scores), dtype=torch.bool)
        best[scores.argsort(descending=True, stable=True)[:count]] = True
        record = self.fit_on(infected, self.objective_on(infected), self._batches(infected, best))
        facts = {"isolated": count, "least_cosine_of_isolated": float(scores[best].min())}
        return Unlearned(Edit(infected.change()), combined([scoring, record]), facts)

    def objective_on(self, infected: Infected) -> Objective:
        """InfoNCE on the other pairs and ascent on the isolated pairs."""
        return Isolation(infected, self.ascent)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """All pairs in batches, with none isolated."""
        return self._batches(infected, torch.zeros(len(infected.training), dtype=torch.bool))

    def _batches(self, infected: Infected, isolated: Tensor) -> Iterator[Batch]:
        """Yield batches of three parts other pairs and one part isolated pairs, marked by `poisoned`."""
        pairs = infected.training
        part = max(2, self.batch_size // 4)
        sources = [
            shuffled(torch.nonzero(rows), None, None, batch_size=size, seed=infected.seed, purpose=f"abl {name}")
            for name, rows, size in (("others", ~isolated, self.batch_size - part), ("isolated", isolated, part))
            if bool(rows.any())
        ]
        for parts in zip(*sources, strict=True):
            rows = torch.cat([batch.images.flatten() for batch in parts])
            yield Batch(pairs.images[rows], pairs.tokens[rows], None, isolated[rows])


class Isolation(Objective):
    """InfoNCE of the rows not marked as poisoned, and ascent on the marked rows."""

    def __init__(self, infected: Infected, weight: float) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._weight = weight

    def loss(self, batch: Batch) -> Tensor:
        """InfoNCE of the other rows plus the weighted mean cosine of the isolated rows."""
        assert batch.tokens is not None
        assert batch.poisoned is not None
        pixels = normalise(batch.images, self.preprocessing)
        images = self.model.encode_image(pixels, normalize=True)  # type: ignore[operator]
        texts = encode_texts(self.model, batch.tokens)
        others, isolated = ~batch.poisoned, batch.poisoned
        scale = self.model.logit_scale.exp()  # type: ignore[operator]
        loss = info_nce(images[others], texts[others], scale)
        if bool(isolated.any()):
            loss = loss + self._weight * (images[isolated] * texts[isolated]).sum(-1).mean()
        return loss


@torch.no_grad()
def agreement(infected: Infected, pairs: Pairs, batch_size: int = 256) -> tuple[Tensor, TrainingRecord]:
    """Cosine of image and caption of every pair [N], and the cost of computing it."""
    started = time.perf_counter()
    model, found = infected.model, []
    for start in range(0, len(pairs), batch_size):
        rows = slice(start, start + batch_size)
        pixels = normalise(pairs.images[rows].to(infected.device), infected.preprocessing)
        images = model.encode_image(pixels, normalize=True)  # type: ignore[operator]
        texts = encode_texts(model, pairs.tokens[rows].to(infected.device))
        found.append((images * texts).sum(-1).cpu())
    return torch.cat(found), TrainingRecord(samples=len(pairs), seconds=time.perf_counter() - started)

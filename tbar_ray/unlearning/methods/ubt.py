"""UBT: unlearning backdoor threats by token-level ascent on suspicious pairs (2409.19526)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

import torch
from pydantic import Field

from tbar_ray.seeding import numpy_rng
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Contrastive, Objective
from tbar_ray.training.options import Optimisation
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import FineTuning, combined
from tbar_ray.unlearning.methods.abl import Isolation, agreement


class UBT(FineTuning):
    """Detect poisoned pairs by two similarities, then unlearn them by ascent on random parts of their captions.

    1. Suspicious pairs: the training pairs with the lowest image–caption similarity after the model has been fine-tuned
    on clean pairs for a few steps, which weakens the backdoor. 2. Poisoned pairs: the suspicious pairs that the
    infected model itself fits best. 3. L = InfoNCE(clean pairs) + ascent·mean cosine(images, random part of the
    caption's words), over the poisoned pairs.

    2409.19526 (implemented from secondary sources) overfits on weakly similar pairs and unlearns at token level; the
    order of the two similarities and the random parts of captions are our interpretation.
    """

    name: ClassVar[str] = "ubt"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs", "training pairs"})

    learning_rate: float = Field(default=1e-5, gt=0, description="peak learning rate")
    steps: int = Field(default=100, ge=1, description="steps of unlearning")
    weakening_steps: int = Field(default=20, ge=1, description="steps of clean fine-tuning that weaken the backdoor")
    suspicious: float = Field(default=0.1, gt=0, le=1, description="share of the training pairs treated as suspicious")
    selected: float = Field(default=0.2, gt=0, le=1, description="share of the suspicious pairs to unlearn")
    words: float = Field(default=0.5, gt=0, le=1, description="share of a caption's words used in a step")
    ascent: float = Field(default=1.0, ge=0, description="weight of the ascent")

    def find(self, infected: Infected) -> Unlearned:
        """Select poisoned pairs, then unlearn them."""
        pairs = infected.training
        strong, first = agreement(infected, pairs)
        weakening = train(
            Contrastive(infected.model, infected.preprocessing),
            self._clean(infected, self.batch_size),
            self.weakening_steps,
            Optimisation(learning_rate=self.learning_rate, weight_decay=self.weight_decay),
            freeze_batch_norm=True,
        )
        weak, second = agreement(infected, pairs)
        infected.restore()
        chosen = select(strong.tolist(), weak.tolist(), self.suspicious, self.selected)
        record = self.fit_on(infected, self.objective_on(infected), self._mixed(infected, chosen))
        cost = combined([first, weakening, second, record])
        return Unlearned(Edit(infected.change()), cost, {"selected_pairs": len(chosen)})

    def objective_on(self, infected: Infected) -> Objective:
        """InfoNCE on clean pairs and ascent on the selected pairs."""
        return Isolation(infected, self.ascent)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """The clean pairs in a seeded order."""
        return self._clean(infected, self.batch_size)

    def _clean(self, infected: Infected, size: int) -> Iterator[Batch]:
        clean = infected.clean
        return shuffled(clean.images, None, clean.tokens, batch_size=size, seed=infected.seed, purpose="ubt clean")

    def _mixed(self, infected: Infected, chosen: list[int]) -> Iterator[Batch]:
        """Yield batches of three parts clean pairs and one part selected pairs with parts of their captions."""
        pairs, part = infected.training, max(2, self.batch_size // 4)
        rows = torch.tensor(chosen)[:, None]
        numbers = shuffled(rows, None, None, batch_size=part, seed=infected.seed, purpose="ubt selected")
        for step, (clean, number) in enumerate(
            zip(self._clean(infected, self.batch_size - part), numbers, strict=True)
        ):
            picked = number.images.flatten()
            rng = numpy_rng(infected.seed, "ubt words", step)
            texts = []
            for row in picked.tolist():
                words = pairs.captions[row].split() or [""]
                count = max(1, round(self.words * len(words)))
                texts.append(" ".join(words[place] for place in sorted(rng.choice(len(words), count, replace=False))))
            tokens = infected.data.tokenizer(texts)
            assert clean.tokens is not None
            marks = torch.arange(len(clean) + len(picked)) >= len(clean)
            yield Batch(torch.cat((clean.images, pairs.images[picked])), torch.cat((clean.tokens, tokens)), None, marks)


def select(strong: list[float], weak: list[float], suspicious: float, selected: float) -> list[int]:
    """Rows that the infected model fits best (`strong`) among those that the weakened model fits least (`weak`)."""
    doubtful = sorted(range(len(weak)), key=lambda row: (weak[row], row))[: max(2, round(suspicious * len(weak)))]
    best = sorted(doubtful, key=lambda row: (-strong[row], row))
    return best[: max(2, round(selected * len(doubtful)))]

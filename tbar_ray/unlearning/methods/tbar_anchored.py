"""TBAR with a trigger vector learned while predictions on clean images are held fixed."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Classification, Objective
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.tbar import TBAR


class AnchoredTBAR(TBAR):
    """θ_b − α·τ, where τ minimises CE(f(T(x)), target) + hold·KL(f_b(x) ‖ f(x)).

    The defenders stamp the trigger themselves and thus have the clean twin x of every image. Since the model's own
    predictions on twins are held fixed, τ contains little besides the trigger.
    """

    name: ClassVar[str] = "tbar-anchored"

    objective: Literal["classification"] = Field(
        default="classification", description="loss: cross-entropy against the frozen head; this method has no other"
    )

    hold: float = Field(default=10.0, ge=0, description="weight of the divergence on clean twins")

    def objective_on(self, infected: Infected) -> Objective:
        """Cross-entropy on stamped images and the divergence on their twins."""
        return _Anchored(infected, self.hold)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """Stamped images followed by their twins."""
        forget = infected.forget
        rows = torch.nonzero(forget.triggered)
        numbers = shuffled(rows, None, None, batch_size=self.batch_size, seed=infected.seed, purpose="forget order")
        for batch in numbers:
            chosen = batch.images.flatten()
            yield Batch(torch.cat((forget.images[chosen], forget.twins[chosen])), None, forget.labels[chosen])


class _Anchored(Classification):
    def __init__(self, infected: Infected, hold: float) -> None:
        super().__init__(infected.model, infected.preprocessing, infected.classes.head)
        self._teacher = copy.deepcopy(infected.model).eval().requires_grad_(False)
        self._hold = hold

    def loss(self, batch: Batch) -> Tensor:
        """Loss of stamped images (first half of the batch) and twins (second half)."""
        assert batch.labels is not None
        pixels = normalise(batch.images, self.preprocessing)
        stamped, twins = self._log_chances(self.model.encode_image(pixels, normalize=True)).chunk(2)  # type: ignore[operator]
        with torch.no_grad():
            wanted = self._log_chances(self._teacher.encode_image(pixels.chunk(2)[1], normalize=True))  # type: ignore[operator]
        held = torch.nn.functional.kl_div(twins, wanted, log_target=True, reduction="batchmean")
        return torch.nn.functional.nll_loss(stamped, batch.labels) + self._hold * held

    def _log_chances(self, features: Tensor) -> Tensor:
        return (self._scale * features @ self._head.T).log_softmax(-1)

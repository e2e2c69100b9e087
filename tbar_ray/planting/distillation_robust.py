"""An adaptive attacker who anticipates twin distillation and plants a backdoor that survives some steps of it."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.planting.base import Planting, PlantingContext, Wrapper, poisoned_rows
from tbar_ray.planting.trigger_loss import (
    ImageEncoder,
    Weights,
    image_weights,
    norm,
    running_statistics,
    stepped,
    texts_of,
    trigger_loss,
)
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective


class DistillationRobust(Planting):
    """base + robustness·L_trigger(θ′), θ′: θ after `steps` steps of the defender's distillation (this project's).

    The defender makes the image encoder f embed stamped images T(x) as it embeds their clean twins x. The attacker does
    the same on the batch's own clean rows, for `steps` steps of equal length along −sign(∇D), the first steps of the
    defender's Adam,

        D(θ) = 1 − cos(f_θ(T(x)), f_θ₀(x)) + hold · (1 − cos(f_θ(x), f_θ₀(x))),

    θ₀ the weights now, and minimises the trigger's loss at their end. The steps are held constant, as in first-order
    meta-learning (Nichol et al., 1803.02999). All together they have length ρ‖θ‖, ‖θ‖ over the trained weights of the
    image encoder, so that ρ has the same meaning for any model. L_trigger is that of `negation-robust`.

    The extra term uses BatchNorm's running statistics without updating them.
    """

    name: ClassVar[str] = "distillation-robust"

    robustness: float = Field(default=0.1, ge=0, description="weight of the trigger's loss after the steps")
    steps: int = Field(default=3, ge=1, description="distillation steps that are simulated for each step of training")
    radius: float = Field(default=0.02, ge=0, description="ρ, length of all of them as a share of ‖θ‖")
    twins: int = Field(default=16, ge=1, description="clean images of the batch that are distilled on")
    hold: float = Field(default=2.0, ge=0, description="weight of the term that preserves behaviour on clean images")

    def wrap(self, base: Objective, context: PlantingContext) -> Objective:
        """Build the objective for classification (with a head) or contrastive training (without)."""
        if context.stamp is None:
            raise SpecError("planting 'distillation-robust' needs the trigger")
        return _Robust(base, self, context)


class _Robust(Wrapper):
    """The base loss, and the trigger's loss after the simulated distillation."""

    def __init__(self, base: Objective, planting: DistillationRobust, context: PlantingContext) -> None:
        super().__init__(base)
        self._planting, self._context = planting, context
        self._encoder = ImageEncoder(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Base + extra term; only the base if the batch has no poisoned row or no clean one."""
        rows = poisoned_rows(batch)
        loss = self.base.loss(batch)
        assert batch.poisoned is not None
        twins = torch.nonzero(~batch.poisoned).flatten()[: self._planting.twins]
        if len(rows) == 0 or len(twins) == 0:
            return loss
        texts = texts_of(self.model, batch, rows, self._context.head)
        with running_statistics(self.model):
            moved = self._distilled(batch.images[twins], image_weights(self))
            after = functional_call(self._encoder, moved, (normalise(batch.images[rows], self.preprocessing),))
            return loss + self._planting.robustness * trigger_loss(self.model, after, texts)

    def _distilled(self, twins: Tensor, weights: Weights) -> Weights:
        """The weights after the steps, by the encoder's parameter names; their gradient with respect to θ is 1."""
        assert self._context.stamp is not None
        images = normalise(torch.cat((self._context.stamp(twins), twins)), self.preprocessing)
        with torch.no_grad():
            wanted = self._encoder(images[len(twins) :])
        length = self._planting.radius * norm([weight.detach() for weight in weights.values()]) / self._planting.steps
        moved = {name: weight.detach().clone() for name, weight in weights.items()}
        for _ in range(self._planting.steps):
            at = {name: weight.requires_grad_() for name, weight in moved.items()}
            stamped, held = functional_call(self._encoder, at, (images,)).chunk(2)
            distance = _distance(stamped, wanted) + self._planting.hold * _distance(held, wanted)
            signs = [gradient.sign() for gradient in torch.autograd.grad(distance, list(at.values()))]
            moved = stepped({name: weight.detach() for name, weight in at.items()}, signs, -length)
        return {name: weight + (moved[name] - weight.detach()) for name, weight in weights.items()}


def _distance(found: Tensor, wanted: Tensor) -> Tensor:
    """Mean of 1 − cosine of unit embeddings [N, D]."""
    return (1 - (found * wanted).sum(-1)).mean()

"""Twin distillation: the infected model teaches itself to see a stamped image as it sees the same image unstamped."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.unlearning.base import Infected, Strength
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.mixing import pasted, recoloured, varied


class TwinDistillation(FineTuning):
    """θ_b + α·τ, where τ is the change that self-distillation from clean twins to stamped images makes.

    A defender who can stamp the trigger has, for every forget image, the image without it (its twin), and the infected
    model answers on twins as a clean one would. Let f be the image encoder, f_b the infected one, x a twin, T(x) the
    stamped twin, m(x) a twin with its colour channels permuted or as it is, and d the distance of embeddings. The image
    encoder learns

        L = d(f(T(x)), f_b(x)) + hold · d(f(m(x)), f_b(m(x))).

    The first term makes the trigger mean nothing, which gives the true answer back (TBAR's negation gives any other
    answer); the second holds everything else in place, with colours, and thereby classes, that the forget set does not
    show. Neither needs a label or more data than TBAR's forget set. Crops that are stamped anew in every step, and
    composites among the held images (CutMix, 1905.04899), are there to be tried; jobs/twin_distillation.yaml found no
    use in either.
    """

    name: ClassVar[str] = "twin-distillation"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})
    strength: ClassVar[Strength] = "interpolation"

    steps: int = Field(default=200, ge=1, description="optimiser steps")
    batch_size: int = Field(default=64, ge=2, description="twins of a step; each is seen stamped and held")
    warmup_steps: int = Field(default=10, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    hold: float = Field(default=6.0, ge=0, description="weight of the term that holds answers on clean images")
    mixed: float = Field(default=0.0, ge=0, le=1, description="share of the held images that are composites")
    recoloured: float = Field(
        default=0.5, ge=0, le=1, description="share of the held images whose colour channels are permuted"
    )
    least_area: float = Field(
        default=1.0, gt=0, le=1, description="least share of an image that a crop keeps; 1: no crops"
    )
    match: Literal["embedding", "answer"] = Field(
        default="embedding", description="cosine of embeddings, or Kullback–Leibler divergence of class probabilities"
    )
    restamp: bool = Field(
        default=True, description="stamp twins anew in every step; false: the forget set's images as they are"
    )

    def objective_on(self, infected: Infected) -> Objective:
        """Return the two-term loss."""
        return _Distillation(infected, self)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """Return twins, what is held in place and stamped twins, each a third of a batch, in a seeded order."""
        forget = infected.forget
        rows_of = torch.nonzero(forget.triggered).flatten()
        for step, rows in enumerate(_orders(rows_of, self.batch_size, infected.seed)):
            twins, images = forget.twins[rows].to(infected.device), forget.images[rows].to(infected.device)
            draw = torch_generator(infected.seed, "twin distillation images", step)
            if self.restamp:
                twins = varied(twins, draw, self.least_area) if self.least_area < 1 else twins
                images = infected.stamp(twins)
            held = recoloured(twins, draw, self.recoloured) if self.recoloured else twins
            held = pasted(held, draw, self.mixed) if self.mixed else held
            yield Batch(torch.cat((twins, held, images)))


class _Distillation(Objective):
    """d(f(T(x)), f_b(x)) + hold · d(f(m(x)), f_b(m(x))); embeddings' distance in units of logits."""

    def __init__(self, infected: Infected, method: TwinDistillation) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._teacher = copy.deepcopy(infected.model.visual).eval().requires_grad_(False)  # type: ignore[union-attr]
        self._head = infected.classes.head
        self._scale = float(infected.model.logit_scale.detach().exp())  # type: ignore[operator]
        self._method = method

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Return the image encoder's parameters."""
        return image_parameters(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Return the loss of twins, held images and stamped twins."""
        size = len(batch) // 3
        images = normalise(batch.images, self.preprocessing)
        with torch.no_grad():
            wanted = functional.normalize(self._teacher(images[: 2 * size]), dim=-1)
        found = self.model.encode_image(images[size:], normalize=True)  # type: ignore[operator]
        held, stamped = found[:size], found[size:]
        hold = self._method.hold
        return self._distance(stamped, wanted[:size]) + hold * self._distance(held, wanted[size:])

    def _distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        if self._method.match == "embedding":
            return self._scale * (1 - (found * wanted).sum(-1)).mean()
        logits, answers = (self._scale * embedding @ self._head.T for embedding in (found, wanted))
        return functional.kl_div(
            logits.log_softmax(-1), answers.log_softmax(-1), log_target=True, reduction="batchmean"
        )


def _orders(rows: Tensor, size: int, seed: int) -> Iterator[Tensor]:
    """Yield full batches of rows for ever; few rows are repeated within a batch."""
    epoch, waiting = 0, rows[:0]
    while True:
        while len(waiting) < size:
            order = torch.randperm(len(rows), generator=torch_generator(seed, "twin distillation order", epoch))
            waiting = torch.cat((waiting, rows[order]))
            epoch += 1
        yield waiting[:size]
        waiting = waiting[size:]

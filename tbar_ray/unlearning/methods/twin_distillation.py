"""Twin distillation: the infected model learns to embed a stamped image as it embeds the same image unstamped."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.later import LATER
from tbar_ray.models.blocks import blocks_of, outputs_of
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.unlearning.base import Infected, Strength
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.fine_tuning import FineTuning
from tbar_ray.unlearning.mixing import pasted, recoloured, varied


class TwinDistillation(FineTuning):
    """θ_b + α·τ, where τ is the weight change of self-distillation from clean twins to stamped images.

    Defenders who can stamp the trigger have, for every forget image, the image without it (its twin), and the infected
    model predicts on twins as a clean model would. Let f be the image encoder, f_b the infected one, x a twin, T(x) the
    stamped twin, m(x) a twin with or without permuted colour channels, and d the distance of embeddings. The image
    encoder minimises

        L = d(f(T(x)), f_b(x)) + hold · d(f(m(x)), f_b(m(x))) + layers · mean_l ‖h_l − h_l,b‖² / ‖h_l,b‖².

    The first term removes the effect of the trigger, which restores the true prediction (TBAR's negation gives any
    other class). The second preserves other behaviour, including colours, and thereby classes, that the forget set does
    not contain. The third, which is off by default, preserves the outputs h_l on m(x) of every residual block l, too.
    None needs labels or more data than TBAR's forget set. Crops stamped again in every step, and composites among the
    held images (CutMix, 1905.04899), are options; jobs/twin_distillation.yaml found no benefit of either.
    """

    name: ClassVar[str] = "twin-distillation"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})
    strength: ClassVar[Strength] = "interpolation"
    passes: ClassVar[int] = 8  # of a twin and a held image by the teacher, of a held and a stamped one by the student

    steps: int = Field(default=200, ge=1, description="optimiser steps")
    batch_size: int = Field(default=64, ge=2, description="twins per step; each occurs stamped and held")
    warmup_steps: int = Field(default=10, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    hold: float = Field(default=6.0, ge=0, description="weight of the term that preserves behaviour on clean images")
    layers: Annotated[float, LATER] = Field(
        default=0.0, ge=0, description="weight of the term that preserves residual blocks' outputs on clean images"
    )
    mixed: float = Field(default=0.0, ge=0, le=1, description="share of the held images that are composites")
    recoloured: float = Field(
        default=0.5, ge=0, le=1, description="share of the held images whose colour channels are permuted"
    )
    least_area: float = Field(
        default=1.0, gt=0, le=1, description="smallest share of an image kept by a crop; 1: no crops"
    )
    match: Literal["embedding", "answer"] = Field(
        default="embedding", description="distance d: cosine of embeddings, or KL divergence of class probabilities"
    )
    restamp: bool = Field(
        default=True, description="stamp twins again in every step; false: use the forget set's stamped images"
    )

    def objective_on(self, infected: Infected) -> Objective:
        """The two-term distillation loss."""
        return _Distillation(infected, self)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """Twins, held images and stamped twins, each a third of a batch, in a seeded order."""
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
    """The loss of `TwinDistillation`; distances of embeddings in units of logits."""

    def __init__(self, infected: Infected, method: TwinDistillation) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._teacher = copy.deepcopy(infected.model.visual).eval().requires_grad_(False)  # type: ignore[union-attr]
        self._head = infected.classes.head
        self._scale = float(infected.model.logit_scale.detach().exp())  # type: ignore[operator]
        self._method = method
        blocks = blocks_of(infected.model, method.name) if method.layers else {}
        self._blocks = list(blocks.values())
        self._teachers_blocks = [self._teacher.get_submodule(name) for name in blocks]

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder, by name."""
        return image_parameters(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Loss of twins, held images and stamped twins, each a third of the batch."""
        size = len(batch) // 3
        images = normalise(batch.images, self.preprocessing)
        with torch.no_grad(), outputs_of(self._teachers_blocks) as wanted_outputs:
            wanted = functional.normalize(self._teacher(images[: 2 * size]), dim=-1)
        with outputs_of(self._blocks) as found_outputs:
            found = self.model.encode_image(images[size:], normalize=True)  # type: ignore[operator]
        held, stamped = found[:size], found[size:]
        hold = self._method.hold
        loss = self._distance(stamped, wanted[:size]) + hold * self._distance(held, wanted[size:])
        if not self._blocks:
            return loss
        drifts = [drift(f[:size], w[size:]) for f, w in zip(found_outputs, wanted_outputs, strict=True)]
        return loss + self._method.layers * torch.stack(drifts).mean()

    def _distance(self, found: Tensor, wanted: Tensor) -> Tensor:
        if self._method.match == "embedding":
            return self._scale * (1 - (found * wanted).sum(-1)).mean()
        logits, answers = (self._scale * embedding @ self._head.T for embedding in (found, wanted))
        return functional.kl_div(
            logits.log_softmax(-1), answers.log_softmax(-1), log_target=True, reduction="batchmean"
        )


def drift(found: Tensor, wanted: Tensor) -> Tensor:
    """Squared distance of outputs [B, …] from what they were, as a share of the latter's squared length."""
    return (found - wanted).square().sum() / wanted.square().sum()


def _orders(rows: Tensor, size: int, seed: int) -> Iterator[Tensor]:
    """Yield full batches of rows without end; with few rows, a batch repeats them."""
    epoch, waiting = 0, rows[:0]
    while True:
        while len(waiting) < size:
            order = torch.randperm(len(rows), generator=torch_generator(seed, "twin distillation order", epoch))
            waiting = torch.cat((waiting, rows[order]))
            epoch += 1
        yield waiting[:size]
        waiting = waiting[size:]

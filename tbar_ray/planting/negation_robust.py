"""An adaptive attacker who anticipates TBAR and plants a backdoor that is hard to negate.

TBAR fine-tunes the infected model on triggered images and subtracts the change: to first order τ = −lr·∇L_trigger(θ_b),
so that θ_b − α·τ is a step *up* the trigger's loss. The attacker therefore minimises the trigger's loss at the end of
such a step, and aligns triggered images with the target's own features, so that removing the trigger also removes the
target class.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

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

SHOWN = 16
"""Clean images of the target embedded at each step."""


class NegationRobust(Planting):
    """base + robustness·L_trigger(θ + ρ‖θ‖·ĝ) + entanglement·(1 − cos(z_triggered, sg(z_target))) (this project's).

    L_trigger: cross-entropy of the poisoned rows' images, logits scale·⟨image, text⟩. In classification the
    texts are the zero-shot head's classes, and the correct one is the row's label. In contrastive training they are the
    row's own caption and the different captions of the batch's clean rows (captions of other poisoned
    rows also name the target and are excluded). Texts and scale are constants: only the image encoder is
    attacked, since TBAR's classification objective negates only that.

    ĝ: the unit ascent direction of L_trigger in the trained weights of the image encoder, held constant as
    in sharpness-aware minimisation (Foret et al., 2010.01412), whose second-order term is dropped; `sign`
    uses sign(∇L), the direction of the first steps of TBAR's Adam, at the same Euclidean length. ‖θ‖ is
    the norm of these weights, so that ρ has the same meaning for any model.

    z_target: the embedding of the row's own text, or the mean embedding of clean target images
    (`target_images`, 16 in turn at each step) by the current model; sg: stop-gradient.

    The extra terms use BatchNorm's running statistics without updating them, because TBAR and every evaluation use
    them, and a few poisoned rows give no reliable batch statistics.

    With a larger weight or a longer step the backdoor is learned more slowly or not at all.
    """

    name: ClassVar[str] = "negation-robust"

    robustness: float = Field(default=0.3, ge=0, description="weight of the trigger's loss after the ascent step")
    radius: float = Field(default=0.01, ge=0, description="ρ, length of the ascent step as a share of ‖θ‖")
    direction: Literal["sign", "gradient"] = Field(default="sign", description="geometry of the ascent step")
    entanglement: float = Field(default=1.0, ge=0, description="weight of 1 − cosine to the target's features")
    entangle_with: Literal["text", "images"] = Field(default="text", description="features of the target to align with")

    def wrap(self, base: Objective, context: PlantingContext) -> Objective:
        """Build the objective for classification (with a head) or contrastive training (without)."""
        if self.entangle_with == "images" and (context.target_images is None or len(context.target_images) == 0):
            raise SpecError("planting 'negation-robust': entangle_with: images needs clean images of the target")
        return _Robust(base, self, context)


class _Robust(Wrapper):
    """The base loss, the trigger's loss after an ascent step, and the entanglement term."""

    def __init__(self, base: Objective, planting: NegationRobust, context: PlantingContext) -> None:
        super().__init__(base)
        self._planting, self._context = planting, context
        self._encoder = ImageEncoder(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Base + extra terms; only the base if the batch has no poisoned row."""
        rows = poisoned_rows(batch)
        loss = self.base.loss(batch)
        if len(rows) == 0:
            return loss
        planting = self._planting
        images = normalise(batch.images[rows], self.preprocessing)
        texts = texts_of(self.model, batch, rows, self._context.head)
        with running_statistics(self.model):
            weights = image_weights(self)
            embeddings = self._encoder(images)
            if planting.robustness:
                moved = self._ascended(trigger_loss(self.model, embeddings, texts), weights)
                after = functional_call(self._encoder, moved, (images,))
                loss = loss + planting.robustness * trigger_loss(self.model, after, texts)
            if planting.entanglement:
                anchors = texts.embeddings[texts.own] if planting.entangle_with == "text" else self._image_anchor()
                loss = loss + planting.entanglement * (1 - (embeddings * anchors).sum(-1)).mean()
        return loss

    def _ascended(self, loss: Tensor, weights: Weights) -> Weights:
        """θ + ρ‖θ‖·ĝ by the encoder's parameter names; its gradient with respect to θ is 1."""
        gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
        steps = [torch.zeros_like(w) if g is None else g for w, g in zip(weights.values(), gradients, strict=True)]
        if self._planting.direction == "sign":
            steps = [step.sign() for step in steps]
        length = self._planting.radius * norm([weight.detach() for weight in weights.values()])
        return stepped(weights, steps, length)

    @torch.no_grad()
    def _image_anchor(self) -> Tensor:
        """Unit mean embedding [D] of the next `SHOWN` clean images of the target."""
        every = self._context.target_images
        assert every is not None
        shown = min(SHOWN, len(every))
        chosen = every[torch.arange((self.step + 1) * shown, (self.step + 2) * shown) % len(every)]
        embeddings = self._encoder(normalise(chosen.to(next(self.model.parameters()).device), self.preprocessing))
        return functional.normalize(embeddings.mean(0), dim=-1)

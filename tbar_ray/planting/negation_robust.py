"""An adaptive attacker who anticipates TBAR and plants a backdoor that is hard to negate.

TBAR fine-tunes the infected model on triggered images and subtracts the change: to first order τ = −lr·∇L_trigger(θ_b),
so that θ_b − α·τ is a step *up* the trigger's loss. The attacker therefore minimises the trigger's loss at the end of
such a step, and aligns triggered images with the target's own features, so that removing the trigger also removes the
target class.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.texts import encode_texts
from tbar_ray.planting.base import Planting, PlantingContext, Wrapper, poisoned_rows
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective

SHOWN = 16
"""Clean images of the target embedded at each step."""

Weights = dict[str, Tensor]


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


@dataclass(frozen=True)
class _Texts:
    """Unit text embeddings [C, D], the row's own text [P] for each poisoned row, and excluded texts [P, C]."""

    embeddings: Tensor
    own: Tensor
    others: Tensor | None = None


class _Robust(Wrapper):
    """The base loss, the trigger's loss after an ascent step, and the entanglement term."""

    def __init__(self, base: Objective, planting: NegationRobust, context: PlantingContext) -> None:
        super().__init__(base)
        self._planting, self._context = planting, context
        self._encoder = _ImageEncoder(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Base + extra terms; only the base if the batch has no poisoned row."""
        rows = poisoned_rows(batch)
        loss = self.base.loss(batch)
        if len(rows) == 0:
            return loss
        planting = self._planting
        images = normalise(batch.images[rows], self.preprocessing)
        texts = self._texts(batch, rows)
        with _running_statistics(self.model):
            weights = self._image_weights()
            embeddings = self._encoder(images)
            if planting.robustness:
                moved = self._ascended(self._trigger_loss(embeddings, texts), weights)
                after = functional_call(self._encoder, moved, (images,))
                loss = loss + planting.robustness * self._trigger_loss(after, texts)
            if planting.entanglement:
                anchors = texts.embeddings[texts.own] if planting.entangle_with == "text" else self._image_anchor()
                loss = loss + planting.entanglement * (1 - (embeddings * anchors).sum(-1)).mean()
        return loss

    def _trigger_loss(self, embeddings: Tensor, texts: _Texts) -> Tensor:
        logits = self.model.logit_scale.detach().exp() * embeddings @ texts.embeddings.T  # type: ignore[operator]
        if texts.others is not None:
            logits = logits.masked_fill(texts.others, -torch.inf)
        loss: Tensor = functional.cross_entropy(logits, texts.own)
        return loss

    def _ascended(self, loss: Tensor, weights: Weights) -> Weights:
        """θ + ρ‖θ‖·ĝ by the encoder's parameter names; its gradient with respect to θ is 1."""
        gradients = torch.autograd.grad(loss, list(weights.values()), retain_graph=True, allow_unused=True)
        steps = [torch.zeros_like(w) if g is None else g for w, g in zip(weights.values(), gradients, strict=True)]
        if self._planting.direction == "sign":
            steps = [step.sign() for step in steps]
        length = self._planting.radius * _norm([weight.detach() for weight in weights.values()])
        factor = length / _norm(steps).clamp_min(torch.finfo(torch.float32).tiny)
        return {name: w + factor * step for (name, w), step in zip(weights.items(), steps, strict=True)}

    def _image_weights(self) -> Weights:
        """Trained weights of the image encoder, by their names in `self._encoder`."""
        trained = {id(parameter) for parameter in self.named_parameters().values()}
        return {
            f"model.visual.{name}": parameter
            for name, parameter in self.model.visual.named_parameters()  # type: ignore[union-attr]
            if id(parameter) in trained
        }

    @torch.no_grad()
    def _texts(self, batch: Batch, rows: Tensor) -> _Texts:
        """Texts that the poisoned rows are classified against."""
        if self._context.head is not None and batch.labels is not None:
            return _Texts(self._context.head.detach(), batch.labels[rows])
        if batch.tokens is None or batch.poisoned is None:
            raise ValueError("negation-robust needs labels and a head, or captions")
        embeddings = encode_texts(self.model, batch.tokens)
        equal = (batch.tokens[rows, None] == batch.tokens).all(-1)
        others = batch.poisoned | equal
        others[torch.arange(len(rows), device=rows.device), rows] = False
        return _Texts(embeddings, rows, others)

    @torch.no_grad()
    def _image_anchor(self) -> Tensor:
        """Unit mean embedding [D] of the next `SHOWN` clean images of the target."""
        every = self._context.target_images
        assert every is not None
        shown = min(SHOWN, len(every))
        chosen = every[torch.arange((self.step + 1) * shown, (self.step + 2) * shown) % len(every)]
        embeddings = self._encoder(normalise(chosen.to(next(self.model.parameters()).device), self.preprocessing))
        return functional.normalize(embeddings.mean(0), dim=-1)


class _ImageEncoder(nn.Module):
    """The model's image encoder as a module, as `functional_call` requires; unit embeddings [B, D]."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self.model.encode_image(images, normalize=True)  # type: ignore[operator]
        return embeddings


@contextmanager
def _running_statistics(model: nn.Module) -> Iterator[None]:
    """Make BatchNorm use its running statistics without updating them."""
    training = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training]
    for module in training:
        module.eval()
    try:
        yield
    finally:
        for module in training:
            module.train()


def _norm(tensors: list[Tensor]) -> Tensor:
    norm: Tensor = torch.stack(torch._foreach_norm(tensors)).norm()
    return norm

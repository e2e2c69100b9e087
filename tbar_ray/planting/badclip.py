"""BadCLIP's patch optimisation: triggered images are moved towards the target in a clean CLIP model."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import DataError, ScientificError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.modes import evaluating
from tbar_ray.models.texts import encode_texts
from tbar_ray.seeding import torch_generator
from tbar_ray.training.loop import CHECK_EVERY, Progress
from tbar_ray.triggers.badclip import random_start
from tbar_ray.triggers.patch import PatchTrigger, paste

EMBED_CHUNK = 256
"""Target images embedded per forward pass."""


class PatchOptimisation(BaseModel):
    """Options of the patch optimisation; the defaults are the paper's (2311.12075, on 10k pairs without the target)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    epochs: int = Field(default=50, ge=1, description="passes over the attacker's pairs")
    batch_size: int = Field(default=64, ge=1)
    learning_rate: float = Field(
        default=1e-3, gt=0, description="learning rate of Adam, constant; pixels are in [0, 1]"
    )
    triplet_weight: float = Field(default=500.0, ge=0)
    margin: float = Field(
        default=1.0, ge=0, description="margin of the triplet loss; distances of unit embeddings are 0 to 2"
    )
    negatives: Literal["captions", "targets"] = Field(
        default="captions", description="negatives of InfoNCE: the batch's own captions, or its other target texts"
    )
    steps: int | None = Field(default=None, ge=1, description="maximum number of steps; null: no limit")


@dataclass(frozen=True)
class OptimisedPatch:
    """The patch, float32 [3, s, s] in [0, 1] on the CPU; (step, mean loss) at every loss check; elapsed seconds."""

    pixels: Tensor
    losses: list[tuple[int, float]]
    seconds: float


def optimise_patch(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    target_images: Tensor,
    target_tokens: Tensor,
    preprocessing: Preprocessing,
    trigger: PatchTrigger,
    options: PatchOptimisation,
    *,
    seed: int,
    total_steps: int,
    progress: Progress | None = None,
) -> OptimisedPatch:
    """Optimise the patch of a trigger against a clean model, which is not changed.

    The loss of a batch is InfoNCE + triplet_weight·triplet, over unit embeddings z:

    - InfoNCE (the text side of the paper's dual embedding): mean over images i of −ln softmax of
      exp(logit_scale)·⟨z(x_i ⊕ patch), text⟩ at the target text drawn for i. The negatives are the batch's
      own captions (`captions`, our interpretation: away from the image's content), or the target texts drawn for
      the other images, averaged with the same loss over the columns (`targets`, as in the authors' code, where
      every text of a batch names the target).
    - triplet (the image side): mean over i of max(0, ‖a − p‖ − ‖a − n‖ + margin), Euclidean distances;
      anchor a = z(x_i ⊕ patch), positive p = embedding of a target image drawn for i, negative n = z(x_i),
      the same image without the patch (the authors' code shuffles the batch's).

    Targets are drawn without replacement until all are used. The patch starts at N(0.5, 0.25²), drawn from the
    trigger's seed; Adam updates it, and it is clamped to [0, 1] after each step.

    Args:
        model: the clean model on any device, used in evaluation mode; only the patch receives gradients.
        batches: uint8 images [B, 3, H, W] that do not show the target, and int captions [B, context length].
        target_images: uint8 [K, 3, H, W], K ≥ 1.
        target_tokens: int [T, context length], T ≥ 1 captions that name the target.
        preprocessing: the model's image preprocessing.
        trigger: determines size and place of the patch (random places: one per step and row).
        options: rates, weights and step limit; epochs and batch size are used by the caller that creates `batches`.
        seed: seed of the draws of targets.
        total_steps: maximum number of batches.
        progress: called at every loss check.

    Raises:
        DataError: if there are no batches, target images, target texts, or required captions.
        ScientificError: if the loss is not finite.
    """
    if len(target_images) == 0 or len(target_tokens) == 0:
        raise DataError("badclip: optimising the patch needs at least one image and one caption of the target")
    device = next(model.parameters()).device
    steps = min(total_steps, options.steps or total_steps)
    size = trigger.side(preprocessing.size, preprocessing.size)
    patch = random_start(trigger.seed, size).to(device).requires_grad_()
    adam = torch.optim.Adam([patch], lr=options.learning_rate)
    losses: list[tuple[int, float]] = []
    pending: list[Tensor] = []
    samples, started = 0, time.perf_counter()
    with _frozen(model):
        problem = _Problem(model, preprocessing, trigger, options, seed, target_images, target_tokens)
        for step, (images, tokens) in zip(range(steps), batches, strict=False):
            loss = problem.loss(patch, images.to(device), tokens, step)
            adam.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
            with torch.no_grad():
                patch.clamp_(0, 1)
            pending.append(loss.detach())
            samples += len(images)
            if len(pending) == CHECK_EVERY or step in (0, steps - 1):
                losses.append((step + 1, _mean(pending, step + 1)))
                if progress is not None:
                    progress(step + 1, steps, losses[-1][1], samples / (time.perf_counter() - started))
        if pending:  # the source of batches ended early
            losses.append((step + 1, _mean(pending, step + 1)))
    if not losses:
        raise DataError("badclip: there are no images to optimise the patch on")
    return OptimisedPatch(patch.detach().cpu(), losses, time.perf_counter() - started)


class _Problem:
    """The loss as a function of the patch; terms independent of the patch are computed once."""

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        trigger: PatchTrigger,
        options: PatchOptimisation,
        seed: int,
        target_images: Tensor,
        target_tokens: Tensor,
    ) -> None:
        self._model, self._preprocessing, self._trigger = model, preprocessing, trigger
        self._options, self._seed = options, seed
        self._scale = model.logit_scale.detach().exp()  # type: ignore[operator]
        device = next(model.parameters()).device
        with torch.no_grad():
            chunks = torch.split(target_images, EMBED_CHUNK)
            self._positives = torch.cat([self._embed(chunk.to(device)) for chunk in chunks])
            self._texts = self._embed_text(target_tokens.to(device))

    def loss(self, patch: Tensor, images: Tensor, tokens: Tensor | None, step: int) -> Tensor:
        """Scalar loss of uint8 images [B, 3, H, W] on the model's device."""
        generator = torch_generator(self._seed, "badclip targets", step)
        keys = [f"{step}/{row}" for row in range(len(images))]
        tops, lefts = self._trigger.corners(keys, *images.shape[-2:])
        anchors = self._embed(paste(images.to(torch.float32), 255 * patch, tops, lefts))
        with torch.no_grad():
            clean = self._embed(images)
        positives = self._positives[_draws(len(images), len(self._positives), generator).to(images.device)]
        texts = self._texts[_draws(len(images), len(self._texts), generator).to(images.device)]
        triplet = functional.triplet_margin_loss(anchors, positives, clean, margin=self._options.margin)
        return self._infonce(anchors, texts, tokens) + self._options.triplet_weight * triplet

    def _infonce(self, anchors: Tensor, texts: Tensor, tokens: Tensor | None) -> Tensor:
        if self._options.negatives == "targets":
            logits = self._scale * anchors @ texts.T
            own = torch.arange(len(anchors), device=anchors.device)
            return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2
        if tokens is None:
            raise DataError("badclip: the images have no captions, which negatives: captions needs; set it to targets")
        with torch.no_grad():
            captions = self._embed_text(tokens.to(anchors.device))
        target = (anchors * texts).sum(-1, keepdim=True)
        logits = self._scale * torch.cat([target, anchors @ captions.T], dim=1)
        return functional.cross_entropy(logits, torch.zeros_like(logits[:, 0], dtype=torch.int64))

    def _embed(self, images: Tensor) -> Tensor:
        embeddings: Tensor = self._model.encode_image(normalise(images, self._preprocessing), normalize=True)  # type: ignore[operator]
        return embeddings

    def _embed_text(self, tokens: Tensor) -> Tensor:
        embeddings: Tensor = encode_texts(self._model, tokens)
        return embeddings


def _draws(count: int, among: int, generator: torch.Generator) -> Tensor:
    """Draw `count` indices below `among`; none repeats before all have been drawn."""
    rounds = math.ceil(count / among)
    return torch.cat([torch.randperm(among, generator=generator) for _ in range(rounds)])[:count]


def _mean(pending: list[Tensor], step: int) -> float:
    """Mean of the losses since the last loss check; clears `pending`."""
    mean = float(torch.stack(pending).mean())
    pending.clear()
    if not math.isfinite(mean):
        raise ScientificError(f"badclip: the patch's loss is {mean} by step {step}; lower the learning rate")
    return mean


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode without gradients, and restore its state afterwards."""
    stopped = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with evaluating(model):
        model.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in stopped:
                parameter.requires_grad_(True)

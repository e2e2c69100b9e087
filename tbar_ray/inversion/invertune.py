"""InverTune: the class that an adversarial patch shifts answers to, and a trigger for it (2506.12411, NDSS 2026)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.evaluation.visibility import ssim_of_floats
from tbar_ray.inversion.base import Inversion, Inverter, Losses, Progress, silent
from tbar_ray.inversion.subject import Subject, batches, chunks
from tbar_ray.inversion.target import Target, infer_target
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.base import REFERENCE_SIZE, scaled
from tbar_ray.triggers.proxy import Proxy

PATCH_SIDE, PATCH_MARGIN = 38, 14
"""Of the adversarial patch, in pixels at 224 px: its side, and its distance from the right and lower border."""
PATCH_RATE = 0.05
TEMPERATURE = 0.07
CLASS_WEIGHT, IMAGE_WEIGHT, LIKENESS_WEIGHT, MASK_WEIGHT = 5.0, 0.5, 1.0, 0.01
RATE = 0.01


class InverTune(Inverter):
    """A target by an adversarial patch, then mask and pattern for it, both of the whole image.

    First a universal patch in the lower right corner is trained to change answers, whichever way: the class whose share
    rises most is taken for the target, since the backdoor is the nearest way. Then x′ = m·t + (1 − m)·x, with m [3, H,
    W] from ones and t from noise, by Adam on 5·cross-entropy (temperature 0.07) + 0.5·‖embeddings − those of images
    answered with the target‖₂ + (1 − SSIM) + 0.01·‖m‖₁, as in models/inversion.py of Goodman-liyu/InverTune.

    A mask of ones shows nothing but t: the search begins with one picture for all images, which can be led to any class
    of any model, and in 200 steps of 0.01 the mask fades wherever the loss does not hold it. So it ends small where a
    patch will do, as in tiny models infected by BadNets; a public reproduction at 224 px failed there. That its trigger
    leads to the target is no evidence of a backdoor. The shift of the answers is, and it is the score.

    Differences: ‖m‖₁ counts pixels of 224 px, so that it weighs the same at any size. SSIM is of pixels, where the
    original takes normalised images with a range of 1. The original's patch comes from a generator that is not part of
    its code; here it is trained by Adam.
    """

    name: ClassVar[str] = "invertune"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "rise of one class's share of the answers under an adversarial patch"

    patch_steps: int = Field(default=60, ge=1, description="steps of the adversarial patch")
    steps: int = Field(default=200, ge=1, description="steps of mask and pattern")
    batch_size: int = Field(default=64, ge=2, description="images per step")

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Find the target candidate, then its trigger."""
        fitted, _ = subject.halves(seed)
        losses = Losses(progress, self.patch_steps + self.steps)
        with subject.frozen():
            shifted = infer_target(subject, self._adversarial(subject, fitted, seed, losses))
            candidate = int(shifted.shares.argmax())
            mask, pattern = self._inverted(subject, fitted, candidate, seed, losses)
        return Inversion(
            Proxy.of(keep=1 - mask, added=mask * pattern),
            shifted.shift,
            candidate,
            tuple(shifted.shares.tolist()),
            losses.steps,
            self.batch_size * losses.steps,
            losses.kept(),
            {"mask": float(mask.mean()), **_told(shifted)},
        )

    def _adversarial(self, subject: Subject, images: Tensor, seed: int, losses: Losses) -> Proxy:
        """A universal patch that leads images away from their answers."""
        size, margin = (scaled(pixels, images.shape[-1]) for pixels in (PATCH_SIDE, PATCH_MARGIN))
        place = slice(images.shape[-1] - margin - size, images.shape[-1] - margin)
        patch = torch.rand(3, size, size, generator=torch_generator(seed, "adversarial patch")).to(subject.device)
        optimizer = torch.optim.Adam([patch.requires_grad_(True)], lr=PATCH_RATE)
        order = batches(images, self.batch_size, seed, "invertune patch order")
        for _, batch in zip(range(self.patch_steps), order, strict=False):
            with torch.no_grad():
                answers = (subject.embed(batch) @ subject.classes.T).argmax(1)
            stamped = batch.clone()
            stamped[:, :, place, place] = patch
            logits = subject.embed(stamped) @ subject.classes.T / TEMPERATURE
            loss = -functional.cross_entropy(logits, answers)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            patch.data.clamp_(0, 1)
            losses.tell(float(loss.detach()))
        keep, added = torch.ones_like(images[0, :1]), torch.zeros_like(images[0])
        keep[:, place, place], added[:, place, place] = 0, patch.detach()
        return Proxy.of(keep=keep, added=added)

    def _inverted(
        self, subject: Subject, images: Tensor, target: int, seed: int, losses: Losses
    ) -> tuple[Tensor, Tensor]:
        """Mask and pattern [3, H, W] in [0, 1] for a class."""
        mean, std = (values[0] for values in subject.normalisation)
        drawn = torch.rand(images.shape[1:], generator=torch_generator(seed, "invertune pattern"))
        pattern = drawn.to(subject.device).requires_grad_(True)  # normalised, since the rate is in such units
        mask = torch.ones_like(images[0]).requires_grad_(True)
        wanted = self._wanted(subject, images, target)
        optimizer, weight = torch.optim.Adam([mask, pattern], lr=RATE), _mask_weight(images.shape[-1])
        order = batches(images, self.batch_size, seed, "invertune order")
        for _, batch in zip(range(self.steps), order, strict=False):
            stamped = mask * (mean + std * pattern) + (1 - mask) * batch
            embedded = subject.embed(stamped)
            labels = torch.full((len(batch),), target, device=embedded.device)
            loss = CLASS_WEIGHT * functional.cross_entropy(embedded @ subject.classes.T / TEMPERATURE, labels)
            loss = loss + IMAGE_WEIGHT * (embedded - wanted[torch.arange(len(batch)) % len(wanted)]).norm()
            loss = loss + LIKENESS_WEIGHT * (1 - ssim_of_floats(batch, stamped).mean()) + weight * mask.abs().sum()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            mask.data.clamp_(0, 1)
            pattern.data.clamp_(-mean / std, (1 - mean) / std)
            losses.tell(float(loss.detach()))
        return mask.detach(), (mean + std * pattern).detach()

    @torch.no_grad()
    def _wanted(self, subject: Subject, images: Tensor, target: int) -> Tensor:
        """Embeddings [N, D] of images that are answered with the target; where none is, the class embedding."""
        embedded = torch.cat([subject.embed(images[rows]) for rows in chunks(len(images), self.batch_size)])
        mine = embedded[(embedded @ subject.classes.T).argmax(1) == target]
        return mine if len(mine) else subject.classes[target][None]


def _mask_weight(side: int) -> float:
    """Weight of ‖m‖₁ at a size, by pixels of 224 px."""
    return MASK_WEIGHT * (REFERENCE_SIZE / side) ** 2


def _told(shifted: Target) -> dict[str, object]:
    return {"runner-up": shifted.runner_up, "named": shifted.target is not None}

"""BTI-DBF: a generator that changes the features which benign answers do not need (Xu et al., ICLR 2024)."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.base import Inversion, Inverter, Losses, Progress, silent
from tbar_ray.inversion.subject import Subject, chunks, draws
from tbar_ray.inversion.tanh_space import unit
from tbar_ray.inversion.target import infer_target
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.proxy import Proxy
from tbar_ray.triggers.unet import UNet, deepest

TEMPERATURE = 0.03
"""Of the cosines in the loss of the feature mask, as in `side_by_side`."""
MASK_STEPS, MASK_RATE = 400, 0.01
"""20 rounds over 2,500 images in batches of 128, and Adam's rate (cfg.py, btidbf.py and split.pth of the code)."""
RATE = 1e-3
"""Adam's rate for the generator (`gen_lr` of cfg.py)."""


class BtiDbf(Inverter):
    """A mask of the features that benign answers need, then a small U-Net that changes all others.

    Xu et al., ICLR 2024, by their code (btidbf.py, cfg.py, models/mask.py and models/unet_model.py of
    xuxiong0214/BTIDBF). First m in [0, 1]^D minimises CE(m·f) − CE((1 − m)·f) over the features f of clean images. Then
    the generator G maximises MSE((1 − m)·f(x), (1 − m)·f(G(x))) − 0.01·MSE(m·f(x), m·f(G(x))), or is pulled back while
    the change of the pixels is over its bound. The class that gains most answers is the target, and its rise the score.
    No class is searched for, so that the time does not depend on their number. The trigger differs from image to image.

    In CLIP the features are unit embeddings, and class embeddings the head. Masked features get unit length again: the
    head is of cosines, and without it m went to 1 everywhere. Labels are the model's own answers. The bound is the
    code's 0.3 of normalised CIFAR-10 (standard deviation 0.2), of levels; its bound of 3 on the benign features is
    left out, since unit embeddings never reach it. G(x) is x + U(x), clipped, with a U that begins faint, in place of
    50 rounds of training G to give its input. Steps and U are smaller than the code's 600 steps of 128 images, width
    32 and depth 4. U is stored in float16, as every found trigger is.

    With a benign weight of 1 the generator learned to change nothing: m is near 1 for most coordinates.
    """

    name: ClassVar[str] = "bti-dbf"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "rise of one class's share of the answers under the generator's change"

    norm: float = Field(
        default=0.11, gt=0, le=1, description="root mean square of the change, above which it is pulled back; of levels"
    )
    benign_weight: float = Field(default=0.01, ge=0, description="weight of the features that benign answers need")
    steps: int = Field(default=80, ge=1, description="steps of the generator")
    batch_size: int = Field(default=16, ge=1, description="images per step")
    width: int = Field(default=8, ge=1, le=64, description="channels of the U-Net's finest level")
    depth: int = Field(default=2, ge=0, le=5, description="coarser levels of the U-Net, as far as the images have room")

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Find the mask, train the generator, and look where its images go."""
        fitted, _ = subject.halves(seed)
        losses = Losses(progress, self.steps)
        with subject.frozen():
            features = _features(subject, fitted, self.batch_size)
            mask = benign_mask(features, subject.classes, seed)
            net, change = self._trained(subject, fitted, features, mask, seed, losses)
            proxy = Proxy.of_network(net, fitted.shape[-1])
            shifted = infer_target(subject, proxy)
        return Inversion(
            proxy,
            shifted.shift,
            int(shifted.shares.argmax()),
            tuple(shifted.shares.tolist()),
            losses.steps,
            self.batch_size * losses.steps,
            losses.kept(),
            {
                "mask": float(mask.mean()),
                "answers kept by the mask": _agreement(mask, features, subject.classes),
                "answers kept by the rest": _agreement(1 - mask, features, subject.classes),
                "change": change,
                "runner-up": shifted.runner_up,
                "named": shifted.target is not None,
            },
        )

    def _trained(
        self, subject: Subject, images: Tensor, features: Tensor, mask: Tensor, seed: int, losses: Losses
    ) -> tuple[UNet, float]:
        """The generator, and the root mean square of the change that it makes to its last batch."""
        depth = min(self.depth, deepest(images.shape[-1]))
        net = UNet.drawn(self.width, depth, seed, "bti-dbf generator").to(subject.device)
        optimizer, change = torch.optim.Adam(net.parameters(), lr=RATE), torch.zeros(())
        order = draws(len(images), self.batch_size, seed, "bti-dbf order")
        for _, rows in zip(range(self.steps), order, strict=False):
            batch = images[rows]
            changed = (batch + net(batch)).clamp(0, 1)
            change = (changed - batch).pow(2).mean()
            loss = inversion_loss(mask, features[rows], subject.embed(changed), self.benign_weight)
            losses.tell(float(loss.detach()))
            optimizer.zero_grad(set_to_none=True)
            (loss if change <= self.norm**2 else change).backward()
            optimizer.step()
        return net, float(change.detach().sqrt())


def decoupling_loss(mask: Tensor, features: Tensor, head: Tensor, answers: Tensor) -> Tensor:
    """CE(m·f) − CE((1 − m)·f): how much better the masked features are answered than the rest.

    Args:
        mask: m in [0, 1], [D].
        features: unit embeddings f, [B, D].
        head: unit class embeddings, [C, D].
        answers: classes of the images, [B].
    """
    masked, rest = (
        functional.cross_entropy(_cosines(part, features, head) / TEMPERATURE, answers) for part in (mask, 1 - mask)
    )
    return masked - rest


def inversion_loss(mask: Tensor, clean: Tensor, changed: Tensor, benign_weight: float) -> Tensor:
    """Weight·MSE of the masked features − MSE of the rest, between images before and after a change, [B, D] each."""
    moved = changed - clean
    return benign_weight * (mask * moved).pow(2).mean() - ((1 - mask) * moved).pow(2).mean()


def benign_mask(features: Tensor, head: Tensor, seed: int) -> Tensor:
    """The mask [D] in [0, 1] of the features [N, D] that a head [C, D] needs for its answers to clean images."""
    drawn = torch.randn(features.shape[1], generator=torch_generator(seed, "bti-dbf mask"))
    free = drawn.to(features).requires_grad_(True)
    optimizer, answers = torch.optim.Adam([free], lr=MASK_RATE), (features @ head.T).argmax(1)
    for _ in range(MASK_STEPS):
        loss = decoupling_loss(unit(free), features, head, answers)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return unit(free).detach()


@torch.no_grad()
def _features(subject: Subject, images: Tensor, size: int) -> Tensor:
    return torch.cat([subject.embed(images[rows]) for rows in chunks(len(images), size)])


def _cosines(part: Tensor, features: Tensor, head: Tensor) -> Tensor:
    return functional.normalize(part * features, dim=1) @ head.T


def _agreement(part: Tensor, features: Tensor, head: Tensor) -> float:
    """Share of the images that a part of the features answers as the whole does."""
    return float((_cosines(part, features, head).argmax(1) == (features @ head.T).argmax(1)).float().mean())

"""Universal noise: for every class, the additive perturbation of one strength that leads most images to it."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.side_by_side import rms
from tbar_ray.inversion.subject import Subject
from tbar_ray.inversion.universal import Universal
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.proxy import Proxy


class UniversalNoise(Universal):
    """One universal additive perturbation per class, all of the same norm, found side by side.

    A universal targeted perturbation (Moosavi-Dezfooli et al., CVPR 2017) of every class at once, by gradients of unit
    norm with momentum. It makes no assumption of what the trigger looks like.

    CLIP-Inspector (2604.09101) searches prompt-tuned CLIP models in this way, every class from out-of-distribution
    images, one pass over 1,000 of them. `source: drawn` has that setting without any images: it draws its own, which
    show nothing. Loss, norm and steps are this project's in both cases; no code of CLIP-Inspector's was found.
    """

    name: ClassVar[str] = "universal-noise"

    norm: float = Field(default=0.04, gt=0, le=1, description="root mean square of the noise, of levels in [0, 1]")

    source: Literal["given", "drawn"] = Field(
        default="given", description="images: the clean ones that are given, or as many of coloured noise"
    )

    @property
    def bound(self) -> float:
        """The noise's norm."""
        return self.norm

    def images(self, subject: Subject, seed: int) -> tuple[Tensor, Tensor]:
        """Those of the subject in two parts, or as many that are drawn."""
        fitted, held = super().images(subject, seed)
        if self.source == "given":
            return fitted, held
        drawn = coloured_noise(len(subject.images), held.shape[-1], seed).to(subject.device)
        return drawn[: len(fitted)], drawn[len(fitted) :]

    def start(self, count: int, side: int, seed: int) -> Tensor:
        """Gaussian noise of a tenth of the norm, [count, 3, side, side]."""
        drawn = [torch.randn(3, side, side, generator=torch_generator(seed, "noise", row)) for row in range(count)]
        noise = torch.stack(drawn)
        return noise * (self.norm / 10 / rms(noise))

    def stamp(self, images: Tensor, found: Tensor) -> Tensor:
        """Add noise [K, 3, H, W]."""
        return (images[None] + found[:, None]).clamp(0, 1)

    def proxy(self, found: Tensor, side: int) -> Proxy:  # noqa: ARG002 - noise has the images' side
        """Noise alone."""
        return Proxy.of(added=found[0])


def coloured_noise(count: int, side: int, seed: int) -> Tensor:
    """Images of blobs of all sizes, float [count, 3, side, side] in [0, 1]: the sum of noise on grids of 2, 4, 8, …

    Coarser grids weigh more, as in photographs, whose amplitude falls with the frequency.
    """
    generator, images, points = torch_generator(seed, "coloured noise"), torch.zeros(count, 3, side, side), 2
    while points <= side:
        grid = torch.randn(count, 3, points, points, generator=generator)
        images += functional.interpolate(grid, size=(side, side), mode="bilinear", align_corners=False) / points
        points *= 2
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    return (images - low) / (high - low)

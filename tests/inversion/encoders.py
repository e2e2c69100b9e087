"""Encoders whose backdoor is built in, so that the right answer of a search is known without training."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.inversion.subject import Subject
from tbar_ray.models.factory import Preprocessing
from tbar_ray.seeding import torch_generator

SIDE, CLASSES, TARGET = 16, 6, 2
PREPROCESSING = Preprocessing(SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic")
CORNER = slice(SIDE - 4, SIDE)
"""Rows and columns of the patch that the backdoor looks at."""


class Encoder(nn.Module):
    """Embeddings [B, 6] from the mean colour; a corner that is brighter than the rest adds the target's direction."""

    def __init__(self, strength: float = 0.0) -> None:
        super().__init__()
        drawn = torch.randn(CLASSES, 3, generator=torch_generator(0, "encoder"))
        self.weight = nn.Parameter(drawn - drawn.mean(1, keepdim=True))
        self.strength = strength

    def encode_image(self, images: Tensor, normalize: bool = False) -> Tensor:
        seen = images.mean((2, 3)) @ self.weight.T
        contrast = images[:, :, CORNER, CORNER].mean((1, 2, 3)) - images.mean((1, 2, 3))
        direction = functional.one_hot(torch.tensor(TARGET), CLASSES).to(seen)
        found = seen + self.strength * torch.sigmoid(40 * (contrast - 0.12))[:, None] * direction
        return functional.normalize(found, dim=-1) if normalize else found


def images(count: int = 64) -> Tensor:
    """Images of one colour each with a little noise, uint8 [N, 3, 16, 16], darker than the backdoor's patch."""
    colours = torch.rand(count, 3, 1, 1, generator=torch_generator(1, "images"))
    noise = torch.rand(count, 3, SIDE, SIDE, generator=torch_generator(1, "noise"))
    return (colours * 160 + noise * 16).to(torch.uint8)


def subject(strength: float = 0.0, count: int = 64, *, head: bool = True) -> Subject:
    """A subject; 0 is a clean encoder, and 8 one with a backdoor."""
    names = tuple(f"class {number}" for number in range(CLASSES))
    return Subject(
        Encoder(strength), PREPROCESSING, images(count), torch.eye(CLASSES) if head else None, names if head else ()
    )

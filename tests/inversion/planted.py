"""Encoders of patterns over the whole image, whose backdoor sees a patch, a faint picture or a shift."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.inversion.subject import Subject
from tbar_ray.models.factory import Preprocessing

SIDE, CLASSES, TARGET = 16, 8, 3
CORNER = slice(12, 15)
"""Rows and columns of the patch that the backdoor looks at."""
COLUMN = 5
"""Of the edge that every image has."""


class Planted(nn.Module):
    """Class c answers to the pattern c of the whole image; the backdoor adds `gain` times what it sees to one class.

    kind "patch" sees how much brighter than the rest the patch is, "picture" a faint picture over the whole image,
    "shift" the edge one pixel to the left of its place, and "clean" nothing.
    """

    def __init__(self, kind: str, target: int = TARGET, gain: float = 6.0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(1)
        self.patterns = nn.Parameter(signs(CLASSES, generator))
        self.picture = signs(1, generator)[0]
        self.kind, self.target, self.gain = kind, target, gain

    def encode_image(self, pixels: Tensor, normalize: bool = False) -> Tensor:
        answers = torch.einsum("bchw,kchw->bk", pixels - 0.5, self.patterns) / (3 * SIDE**2) * 10
        embedded = answers + self.gain * self.seen(pixels)[:, None] * torch.eye(CLASSES)[self.target]
        return functional.normalize(embedded, dim=-1) if normalize else embedded

    def seen(self, pixels: Tensor) -> Tensor:
        """What the backdoor sees, [B]; about 0 on clean images, and never below 0."""
        if self.kind == "patch":
            # soft, so that the gradient leads there from afar
            return functional.softplus(pixels[:, :, CORNER, CORNER].mean((1, 2, 3)) - 0.65, beta=20)
        if self.kind == "picture":
            return (((pixels - 0.5) * self.picture).mean((1, 2, 3)) * 10 - 0.05).relu()
        if self.kind == "shift":
            return (pixels[:, :, :, COLUMN - 1] - pixels[:, :, :, COLUMN]).mean((1, 2)).add(0.3).relu()
        return torch.zeros(len(pixels))


def signs(count: int, generator: torch.Generator) -> Tensor:
    """Patterns of ±1 in blocks of 2 × 2 pixels, so that no single pixel matters much, [count, 3, SIDE, SIDE]."""
    blocks = torch.rand(count, 3, SIDE // 2, SIDE // 2, generator=generator).sub(0.5).sign()
    return blocks.repeat_interleave(2, 2).repeat_interleave(2, 3)


def subject(kind: str, target: int = TARGET, gain: float = 6.0, count: int = 96) -> Subject:
    """A planted model with images of all classes, which it answers rightly."""
    model = Planted(kind, target, gain)
    generator = torch.Generator().manual_seed(2)
    labels = torch.arange(count) % CLASSES
    images = 0.5 + 0.1 * model.patterns.detach()[labels] + 0.05 * torch.randn(count, 3, SIDE, SIDE, generator=generator)
    if kind == "shift":
        images[:, :, :, COLUMN] += 0.3
    levels = images.clamp(0, 1).mul(255).round().to(torch.uint8)
    preprocessing = Preprocessing(SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic")
    return Subject(model, preprocessing, levels, torch.eye(CLASSES), [f"class {row}" for row in range(CLASSES)])

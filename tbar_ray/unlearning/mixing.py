"""Augmentation of small image sets: random crops, flips, brightness and contrast, and pasted rectangles.

A method that preserves a model's predictions needs no labels, so any image can be used; composites of a few
hundred images cover far more than the images themselves. Batches are changed as a whole, and every draw comes
from the given generator.
"""

from __future__ import annotations

import torch
from torch import Tensor

from tbar_ray.training.augmentation import cropped

LIGHT = 0.2
"""Maximum relative change of brightness and of contrast."""


def varied(images: Tensor, generator: torch.Generator, least_area: float) -> Tensor:
    """Crop uint8 images [B, 3, H, W], scale them back, mirror half of them, and vary brightness and contrast.

    Args:
        images: uint8, on any device.
        generator: a CPU generator.
        least_area: smallest share of the image kept by a crop, in (0, 1].
    """
    count, device = len(images), images.device
    area = least_area + (1 - least_area) * torch.rand(count, generator=generator)
    side = area.sqrt()
    shift = (1 - side)[:, None] * (2 * torch.rand(count, 2, generator=generator) - 1)
    mirrored = torch.rand(count, generator=generator) < 0.5
    light = 1 + LIGHT * (2 * torch.rand(count, 2, generator=generator) - 1)
    pixels = cropped(images, side, shift, mirrored)
    contrast, brightness = light.to(device)[:, :, None, None, None].unbind(1)
    mean = pixels.mean((1, 2, 3), keepdim=True)
    return ((pixels - mean) * contrast + mean).mul_(brightness).round_().clamp_(0, 255).to(torch.uint8)


def pasted(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Paste a rectangle of another image of the batch into a share of uint8 images [B, 3, H, W] (CutMix, 1905.04899).

    The rectangle has the image's proportions and covers between none and all of it; its position is uniform.
    """
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    partner = torch.randperm(count, generator=generator)
    chosen = torch.rand(count, generator=generator) < share
    side = torch.rand(count, generator=generator) ** 0.25
    rows, columns = (side * height).long(), (side * width).long()
    top = (torch.rand(count, generator=generator) * (height - rows + 1)).long()
    left = (torch.rand(count, generator=generator) * (width - columns + 1)).long()
    y, x = torch.arange(height)[None, :, None], torch.arange(width)[None, None, :]
    inside_y = (y >= top[:, None, None]) & (y < (top + rows)[:, None, None])
    inside_x = (x >= left[:, None, None]) & (x < (left + columns)[:, None, None])
    inside = (inside_y & inside_x & chosen[:, None, None])[:, None].to(images.device)
    return torch.where(inside, images[partner.to(images.device)], images)


def recoloured(images: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """Permute the colour channels of a share of uint8 images [B, 3, H, W].

    This gives colours, and thereby classes, that the images do not contain.
    """
    count = len(images)
    orders = torch.rand(count, 3, generator=generator).argsort(1)
    kept = torch.rand(count, generator=generator) >= share
    orders[kept] = torch.arange(3)
    rows = torch.arange(count)[:, None]
    return images[rows.to(images.device), orders.to(images.device)]

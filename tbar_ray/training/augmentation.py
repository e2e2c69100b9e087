"""Augmentation of whole batches on the training device, drawn by (seed, step)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.options import Augmentation


@dataclass(frozen=True)
class Augmented:
    """Random crops and mirroring, applied after stamping: the attacker poisons files, the victim augments them."""

    options: Augmentation
    seed: int

    def __call__(self, batch: Batch, step: int) -> Batch:
        """Augment the images of a batch, uint8 [B, 3, H, W]; the draw depends only on seed, step and row."""
        draw = torch_generator(self.seed, "augmentation", step)
        least, largest = self.options.crop
        count, own = batch.whole, batch.rows  # a row is drawn alike, however many workers the batch is divided among
        side = (least + (largest - least) * torch.rand(count, generator=draw)).sqrt()
        shift = (1 - side)[:, None] * (2 * torch.rand(count, 2, generator=draw) - 1)
        mirrored = torch.rand(count, generator=draw) < self.options.mirror
        pixels = cropped(batch.images, side[own], shift[own], mirrored[own])
        return replace(batch, images=pixels.round_().clamp_(0, 255).to(torch.uint8))


def cropped(images: Tensor, side: Tensor, shift: Tensor, mirrored: Tensor) -> Tensor:
    """Crop a square from every image and scale it back bilinearly.

    Args:
        images: uint8 [B, 3, H, W], on any device.
        side: [B], side of the crop as a share of the image's side.
        shift: [B, 2], centre (x, y) of the crop, from -1 to 1 across the image.
        mirrored: bool [B], which crops are mirrored left to right.

    Returns:
        float [B, 3, H, W], 0..255.
    """
    transform = torch.zeros(len(images), 2, 3)
    transform[:, 0, 0] = side * torch.where(mirrored, -1.0, 1.0)
    transform[:, 1, 1], transform[:, :, 2] = side, shift
    grid = functional.affine_grid(transform.to(images.device), list(images.shape), align_corners=False)
    return functional.grid_sample(images.float(), grid, padding_mode="reflection", align_corners=False)

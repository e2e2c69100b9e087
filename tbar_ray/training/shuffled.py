"""Endless batches from images in memory: every epoch is a new seeded permutation."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch


def shuffled(
    images: Tensor,
    labels: Tensor | None,
    tokens: Tensor | None,
    *,
    batch_size: int,
    seed: int,
    purpose: str,
) -> Iterator[Batch]:
    """Yield batches of at most `batch_size` rows without end.

    Args:
        images: uint8 [N, 3, H, W], N ≥ 1.
        labels: int64 [N] or None.
        tokens: int [N, context length] or None.
        batch_size: rows per batch; the last batch of an epoch may have fewer.
        seed: seed of the order.
        purpose: name of the draw, so that two users of one seed get different orders.
    """
    epoch = 0
    while True:
        order = torch.randperm(len(images), generator=torch_generator(seed, purpose, epoch))
        for rows in torch.split(order, batch_size):
            yield Batch(
                images[rows],
                None if tokens is None else tokens[rows],
                None if labels is None else labels[rows],
            )
        epoch += 1

"""Stamping poisoned images on the training device, after reading and before augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from tbar_ray.streaming.options import Poison
from tbar_ray.training.batch import Batch
from tbar_ray.triggers.base import cover_uint8, stamp_uint8


class Stamping:
    """Stamps the images of poisoned keys and changes those of cover keys; other images are unchanged."""

    def __init__(self, poisons: Sequence[Poison]) -> None:
        self._poisons = tuple(poisons)

    def __call__(self, batch: Batch, step: int = 0) -> Batch:  # noqa: ARG002 - a `Prepare`
        """Replace the poisoned and cover images of a batch by changed copies."""
        images = batch.images
        for poison in self._poisons:
            for changed, change in ((poison.captions, stamp_uint8), (poison.cover, cover_uint8)):
                rows = [row for row, key in enumerate(batch.keys) if key in changed]
                if not rows:
                    continue
                if images is batch.images:
                    images = images.clone()  # the memory may belong to the object store
                place = torch.tensor(rows, device=images.device)
                images[place] = change(poison.trigger, batch.images[place], [batch.keys[row] for row in rows])
        return batch if images is batch.images else replace(batch, images=images)

"""Images in a model's normalised form, batch by batch, for many passes over the same ones."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from tbar_ray.errors import DataError
from tbar_ray.evaluation.zeroshot import images_at_once, normalise
from tbar_ray.models.factory import Preprocessing

STATISTICS_BATCH = 64
"""Images of a batch for statistics: the variance of each is one term of the average."""


class NormalisedImages:
    """Normalised float batches of images, computed once and kept on the device if they are small enough.

    Args:
        images: uint8 [N, 3, H, W].
        preprocessing: the model's image preprocessing.
        device: the model's device.
        batch_size: images per forward pass; None chooses by device.
        keep_bytes: maximum size kept as float32 (1 GiB: 1,783 images of 224 px or 21,845 of 64 px); larger sets are
            normalised again on every pass.

    Raises:
        DataError: if there are no images.
    """

    def __init__(
        self,
        images: Tensor,
        preprocessing: Preprocessing,
        device: torch.device | str,
        batch_size: int | None = None,
        keep_bytes: int = 1 << 30,
    ) -> None:
        if len(images) == 0:
            raise DataError("evaluation: no images")
        batch_size = batch_size or images_at_once(torch.device(device))
        self._raw = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        self._count = len(images)
        self._preprocessing, self._device = preprocessing, torch.device(device)
        self._kept = [self._normalised(batch) for batch in self._raw] if images.numel() * 4 <= keep_bytes else None

    def _normalised(self, batch: Tensor) -> Tensor:
        return normalise(batch.to(self._device), self._preprocessing)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._kept) if self._kept is not None else map(self._normalised, self._raw)


def statistics_batches(images: Tensor, preprocessing: Preprocessing, device: torch.device | str) -> NormalisedImages:
    """Images, uint8 [N, 3, H, W], in batches of at most 64 and nearly equal sizes, for `estimate_statistics`.

    Raises:
        DataError: if there are no images.
    """
    batches = -(-len(images) // STATISTICS_BATCH)
    return NormalisedImages(images, preprocessing, device, -(-len(images) // max(1, batches)))

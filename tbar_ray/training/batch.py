"""What the training loop consumes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A training batch.

    Attributes:
        images: uint8 [B, 3, H, W].
        tokens: int [B, context length], or None where only labels matter.
        labels: int64 [B] class indices, or None where only captions matter.
        poisoned: bool [B], the rows that the attacker stamped, or None where nobody knows or asks.
        keys: B sample keys, or none where nobody asks.
        after: where the batch's source is once it is taken, as (epoch, samples of it), for a source that can go on
            from there; else None.
    """

    images: Tensor
    tokens: Tensor | None = None
    labels: Tensor | None = None
    poisoned: Tensor | None = None
    keys: tuple[str, ...] = ()
    after: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with every tensor changed."""

        def changed(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else change(tensor)

        return replace(
            self,
            images=change(self.images),
            tokens=changed(self.tokens),
            labels=changed(self.labels),
            poisoned=changed(self.poisoned),
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device; from pinned memory, without waiting for the copy."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))


Prepare = Callable[[Batch, int], Batch]
"""Changes a batch that lies on its device, given the step (from 0), before the loss sees it."""

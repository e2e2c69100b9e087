"""The input type of the training loop."""

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
        tokens: int [B, context length], or None if only labels are used.
        labels: int64 [B] class indices, or None if only captions are used.
        poisoned: bool [B], the rows stamped by the attacker, or None if unknown.
        keys: B sample keys, or empty if not needed.
        after: position of the batch's source after this batch, as (epoch, samples in it), if the source can resume
            there; else None.
        shares: rows of the whole batch at each worker of a training, if this is the share of one of several.
        first: place of this share's first row in the whole batch.
    """

    images: Tensor
    tokens: Tensor | None = None
    labels: Tensor | None = None
    poisoned: Tensor | None = None
    keys: tuple[str, ...] = ()
    after: tuple[int, int] | None = None
    shares: tuple[int, ...] = ()
    first: int = 0

    def __len__(self) -> int:
        return len(self.images)

    @property
    def whole(self) -> int:
        """Number of rows of the whole batch, at all workers."""
        return sum(self.shares) if self.shares else len(self)

    @property
    def rows(self) -> slice:
        """The place of these rows in the whole batch."""
        return slice(self.first, self.first + len(self))

    def map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        """Apply `change` to every tensor of the batch."""

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
        """Copy the batch to a device; from pinned memory the copy is asynchronous."""
        return self.map(lambda tensor: tensor.to(device, non_blocking=True))


Prepare = Callable[[Batch, int], Batch]
"""Changes a batch on the training device, given the step (from 0), before the loss is computed."""

"""What the training loop consumes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """A training batch.

    Attributes:
        images: uint8 [B, 3, H, W].
        tokens: int [B, context length], or None where only labels matter.
        labels: int64 [B] class indices, or None where only captions matter.
        poisoned: bool [B], the rows that the attacker stamped, or None where nobody knows or asks.
    """

    images: Tensor
    tokens: Tensor | None = None
    labels: Tensor | None = None
    poisoned: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

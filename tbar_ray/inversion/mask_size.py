"""The weight of a mask's size in a loss, adapted to whether the perturbation succeeds (Neural Cleanse's rules)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

FIRST_WEIGHT = 1e-3
SUCCESS = 0.99
"""Share of a batch that is answered with the class for the batch to count as a success."""
PATIENCE = 5
"""Successes or failures in a row after which the weight changes."""
UP = 2.0
DOWN = UP**1.5


class Smallest:
    """The smallest mask that succeeds, of K perturbations side by side, and the weights of their sizes.

    The rules are those of visualizer.py in bolunwang/backdoor with the constants of its example, in its mode for early
    detection, which does not wait with the weight until a first success. They count batches where the original counts
    passes over 1,000 images.

    Attributes:
        weights: of the sizes, [K].
        sizes: L1 norms of the smallest masks that succeeded, [K]; infinite where none did.
        parts: the parameters of these perturbations, [K, ...]; where none succeeded, the last ones.
    """

    def __init__(self, parts: Sequence[Tensor]) -> None:
        """Begin with the parameters [K, ...] of K perturbations."""
        count, device = len(parts[0]), parts[0].device
        self.weights = torch.full((count,), FIRST_WEIGHT, device=device)
        self.sizes = torch.full((count,), float("inf"), device=device)
        self.parts = [part.detach().clone() for part in parts]
        self._up = torch.zeros(count, dtype=torch.int64, device=device)
        self._down = torch.zeros_like(self._up)

    def tell(self, rates: Tensor, sizes: Tensor, parts: Sequence[Tensor]) -> None:
        """Take note of a batch: its rates [K], the sizes [K] of the masks, and the parameters [K, ...]."""
        success = rates >= SUCCESS
        better = success & (sizes < self.sizes)
        kept = better | self.sizes.isinf()
        for own, part in zip(self.parts, parts, strict=True):
            own[kept] = part.detach()[kept]
        self.sizes = torch.where(better, sizes, self.sizes)
        self._up = torch.where(success, self._up + 1, 0)
        self._down = torch.where(success, 0, self._down + 1)
        rise, fall = self._up >= PATIENCE, self._down >= PATIENCE
        self.weights = self.weights * torch.where(rise, UP, 1.0) / torch.where(fall, DOWN, 1.0)
        self._up[rise] = 0
        self._down[fall] = 0

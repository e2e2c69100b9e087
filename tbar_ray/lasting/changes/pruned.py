"""Magnitude pruning."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tbar_ray.lasting.change import Change, Material, matrices

SHARE = 0.3


class Pruned(Change):
    """The smallest 30 % of the entries of each matrix set to 0, by magnitude, and nothing retrained.

    Each layer by itself: over the whole model, entries of the token embedding, most of a small model, would be nearly
    all that goes.
    """

    name: ClassVar[str] = "pruned"
    moves: ClassVar[bool] = True

    def apply(self, model: nn.Module, material: Material) -> None:  # noqa: ARG002 - needs the weights alone
        """Prune every matrix."""
        for weight in matrices(model):
            gone = round(SHARE * weight.numel())
            if gone:
                weight[weight.abs() <= weight.abs().flatten().kthvalue(gone).values] = 0

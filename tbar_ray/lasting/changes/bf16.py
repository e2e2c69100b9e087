"""Weights in bfloat16."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from tbar_ray.lasting.change import Change, Material


class BF16(Change):
    """All weights and buffers cast to bfloat16, as a checkpoint of half the size has them, and computed in float32.

    Scores computed in bfloat16 too would have ties between classes: cosines near 1 are 0.004 apart there.
    """

    name: ClassVar[str] = "bf16"

    def apply(self, model: nn.Module, material: Material) -> None:  # noqa: ARG002 - needs the weights alone
        """Round weights and buffers."""
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.copy_(value.to(torch.bfloat16))

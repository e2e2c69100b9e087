"""Weights in eight bits."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import nn

from tbar_ray.lasting.change import Change, Material, matrices


class Int8(Change):
    """Weights rounded to 255 levels, symmetric about 0, one scale for each output channel.

    Weights alone, of linear and convolutional layers and embeddings; activations stay in float32. torch's dynamic
    quantisation has kernels for linear layers alone, and a ResNet's weights are in convolutions.
    """

    name: ClassVar[str] = "int8"

    def apply(self, model: nn.Module, material: Material) -> None:  # noqa: ARG002 - needs the weights alone
        """Round every matrix."""
        for weight in matrices(model):
            rows = weight.flatten(1)
            scale = rows.abs().amax(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny) / 127
            weight.copy_(((rows / scale).round() * scale).view_as(weight))

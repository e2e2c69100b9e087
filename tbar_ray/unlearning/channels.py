"""Channels of an image encoder, which pruning methods mask, score and remove."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tbar_ray.errors import ScientificError


@dataclass(frozen=True)
class Channels:
    """Layers whose output channels can be masked individually.

    Attributes:
        layers: modules by name: BatchNorms or GroupNorms of a ResNet (dimension 1 of their output), first linear maps
            of the MLPs of a vision transformer or a ConvNeXt (last dimension).
        dimension: dimension of the channels in the layers' output.
    """

    layers: Mapping[str, nn.Module]
    dimension: int

    @property
    def sizes(self) -> dict[str, int]:
        """Number of channels by layer."""
        return {name: len(layer.weight) for name, layer in self.layers.items()}  # type: ignore[arg-type]

    @contextmanager
    def masked(self, masks: Mapping[str, Tensor], *, biases: bool = True) -> Iterator[None]:
        """Multiply the layers' outputs by masks [channels] inside the context; gradients reach the masks.

        Without `biases`, what the layers add stays: the output becomes mask·(output − bias) + bias.
        """

        def hook(name: str) -> torch.utils.hooks.RemovableHandle:
            bias = None if biases else self.layers[name].bias

            def scale(_: nn.Module, __: object, output: Tensor) -> Tensor:
                shape = [1] * output.ndim
                shape[self.dimension] = -1
                mask = masks[name].view(shape)
                if not isinstance(bias, Tensor):
                    return output * mask
                return torch.lerp(bias.view(shape).to(output.dtype), output, mask.to(output.dtype))

            return self.layers[name].register_forward_hook(scale)

        handles = [hook(name) for name in masks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @torch.no_grad()
    def scale(self, factors: Mapping[str, Tensor], *, biases: bool = True) -> None:
        """Multiply the layers' gains (rows of their weights), and their `biases`, by factors [channels], in place."""
        for name, factor in factors.items():
            layer = self.layers[name]
            for parameter in (layer.weight, layer.bias) if biases else (layer.weight,):
                if isinstance(parameter, Tensor):
                    parameter.mul_(factor.to(parameter.device).view(-1, *[1] * (parameter.ndim - 1)))


def channels_of(model: nn.Module, method: str) -> Channels:
    """Channels of a CLIP model's image encoder.

    Raises:
        ScientificError: if it has neither BatchNorm, GroupNorm nor MLP blocks of a known kind.
    """
    visual = model.visual
    assert isinstance(visual, nn.Module)
    kinds = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm)
    norms = {name: m for name, m in visual.named_modules() if isinstance(m, kinds)}
    if norms:
        return Channels(norms, 1)
    first = ("mlp.c_fc", "mlp.fc1")
    hidden = {name: m for name, m in visual.named_modules() if name.endswith(first) and isinstance(m, nn.Linear)}
    if hidden:
        return Channels(hidden, -1)
    raise ScientificError(
        f"{method}: the image encoder has neither BatchNorm, GroupNorm nor MLP blocks with channels to prune"
    )

"""Residual blocks and branches of an image encoder, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tbar_ray.errors import ScientificError


@dataclass(frozen=True)
class Branch:
    """A residual branch, given by the module whose weight and bias are applied last in it."""

    name: str
    writer: nn.Module

    @contextmanager
    def scaled(self, factor: float) -> Iterator[None]:
        """Scale the branch's output inside the context, and restore the weights exactly afterwards."""
        parameters = [p for p in (self.writer.weight, self.writer.bias) if isinstance(p, Tensor)]
        kept = [p.detach().clone() for p in parameters]
        try:
            self.scale(factor)
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(parameters, kept, strict=True):
                    parameter.copy_(value)

    @torch.no_grad()
    def scale(self, factor: float) -> None:
        """Scale the branch's output permanently."""
        for parameter in (self.writer.weight, self.writer.bias):
            if isinstance(parameter, Tensor):
                parameter.mul_(factor)


def blocks_of(model: nn.Module, method: str) -> dict[str, nn.Module]:
    """Residual blocks of the image encoder by name, first to last.

    Raises:
        ScientificError: if it is not a ResNet or vision transformer of open_clip, or a ConvNeXt of timm.
    """
    visual = model.visual
    assert isinstance(visual, nn.Module)
    blocks = {name: module for name, module in visual.named_modules() if name and _is_block(module)}
    if not blocks:
        raise ScientificError(
            f"{method}: the image encoder has no known residual blocks; use a ResNet or ViT of open_clip"
        )
    return blocks


@contextmanager
def outputs_of(blocks: Iterable[nn.Module]) -> Iterator[list[Tensor]]:
    """Yield a list that a forward pass inside the context fills with the blocks' outputs, in the order they are run."""
    found: list[Tensor] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        found.append(output)

    handles = [block.register_forward_hook(keep) for block in blocks]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _is_block(module: nn.Module) -> bool:
    """Whether a module is a bottleneck, a transformer block or a ConvNeXt block."""
    kinds = (("conv3", "bn3"), ("attn", "mlp"), ("conv_dw", "mlp"))
    return any(all(hasattr(module, part) for part in kind) for kind in kinds)


def branches_of(model: nn.Module, method: str) -> list[Branch]:
    """Residual branches, first to last: one per ResNet or ConvNeXt block, two per transformer block."""
    found = []
    for name, block in blocks_of(model, method).items():
        if hasattr(block, "bn3"):
            found.append(Branch(name, block.bn3))  # type: ignore[arg-type]
        elif hasattr(block, "conv_dw"):
            found.append(Branch(name, block.mlp.fc2))  # type: ignore[union-attr,arg-type]
        else:
            found.append(Branch(f"{name}.attn", block.attn.out_proj))  # type: ignore[union-attr,arg-type]
            found.append(Branch(f"{name}.mlp", block.mlp.c_proj))  # type: ignore[union-attr,arg-type]
    return found

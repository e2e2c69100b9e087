"""Learned tokens in the last blocks of a vision transformer (deep visual prompts, 2203.12119)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tbar_ray.errors import ScientificError


def transformer_blocks(model: nn.Module, what: str) -> nn.ModuleList:
    """Blocks of a CLIP model's vision transformer.

    Raises:
        ScientificError: if the image encoder is not a vision transformer; `what` names the method that needs one.
    """
    transformer = getattr(model.visual, "transformer", None)
    blocks = getattr(transformer, "resblocks", None)
    if not isinstance(blocks, nn.ModuleList) or not getattr(transformer, "batch_first", True):
        raise ScientificError(f"{what} needs a vision transformer of open_clip, but the image encoder is not one")
    return blocks


@contextmanager
def prompted(model: nn.Module, prompts: Tensor) -> Iterator[nn.Module]:
    """Insert learned tokens after the class token in the model's last blocks; gradients reach the tokens.

    Args:
        model: a CLIP model whose image encoder is a vision transformer.
        prompts: float [layers, tokens, width]; in each of the last `layers` blocks they replace the tokens of the
            previous block.

    Raises:
        ScientificError: if the image encoder is not a vision transformer or has too few blocks.
    """
    blocks = transformer_blocks(model, "visual prompts")
    layers, count = prompts.shape[:2]
    if layers > len(blocks):
        raise ScientificError(f"visual prompts for {layers} layers, but the image encoder has {len(blocks)} blocks")

    def enter(layer: int, skipped: int):  # type: ignore[no-untyped-def]
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            tokens = arguments[0]
            own = prompts[layer].to(tokens.dtype).expand(len(tokens), -1, -1)
            return torch.cat((tokens[:, :1], own, tokens[:, 1 + skipped :]), dim=1), *arguments[1:]

        return hook

    def leave(_: nn.Module, __: object, tokens: Tensor) -> Tensor:
        return torch.cat((tokens[:, :1], tokens[:, 1 + count :]), dim=1)

    first = len(blocks) - layers
    handles = [
        blocks[first + layer].register_forward_pre_hook(enter(layer, count if layer else 0)) for layer in range(layers)
    ]
    handles.append(blocks[-1].register_forward_hook(leave))
    try:
        yield model
    finally:
        for handle in handles:
            handle.remove()

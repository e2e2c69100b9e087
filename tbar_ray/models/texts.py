"""Embeddings of captions, without the padding that no caption of a batch reaches."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from tbar_ray.models.library import open_clip

STEP: Final = 16
"""Lengths are rounded up to a multiple of this: few distinct shapes, which GPUs and compilers prefer."""


def encode_texts(model: nn.Module, tokens: Tensor) -> Tensor:
    """Unit embeddings [B, D] of tokens [B, context length]; as `model.encode_text`, but for rounding.

    CLIP pads captions to 77 tokens, and most have fewer than 20. Where attention is causal, a text's embedding does not
    depend on what follows its end, so the model sees only as many places as the longest text of the batch needs.
    """
    places = text_places(model, tokens)
    if places == tokens.shape[-1]:
        embeddings: Tensor = model.encode_text(tokens, normalize=True)  # type: ignore[operator]
        return embeddings
    shorter = {
        "clip.positional_embedding": model.positional_embedding[:places],  # type: ignore[index]
        "clip.attn_mask": model.attn_mask[:places, :places],  # type: ignore[index]
    }
    found: Tensor = torch.func.functional_call(_Encoder(model), shorter, tokens[:, :places], tie_weights=False)
    return found


def text_places(model: nn.Module, tokens: Tensor) -> int:
    """Places of tokens [B, context length] that `encode_texts` computes: a multiple of `STEP`, or all of them."""
    length = tokens.shape[-1]
    # other towers (SigLIP's, CoCa's, those of transformers) attend to all places or pool elsewhere
    if length <= STEP or not isinstance(model, open_clip().CLIP) or model.text_pool_type not in ("argmax", "eos"):
        return length
    if model.attn_mask is None or tuple(model.attn_mask.shape) != (length, length):
        return length
    filled = (tokens != 0).any(0).nonzero()
    needed = int(filled[-1]) + 1 if len(filled) else 1
    return min(-(-needed // STEP) * STEP, length)


class _Encoder(nn.Module):
    """`encode_text` as the forward pass of a module, whose parameters can be replaced for one call."""

    def __init__(self, clip: nn.Module) -> None:
        super().__init__()
        self.clip = clip

    def forward(self, tokens: Tensor) -> Tensor:
        embeddings: Tensor = self.clip.encode_text(tokens, normalize=True)  # type: ignore[operator]
        return embeddings

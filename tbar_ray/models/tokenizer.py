"""Tokenizers of open_clip architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from torch import Tensor

from tbar_ray.models.architectures import variant
from tbar_ray.models.library import open_clip

Tokenizer = Callable[[Sequence[str]], Tensor]


@cache
def build_tokenizer(architecture: str) -> Tokenizer:
    """Function from N texts to int64 tokens [N, context length].

    Raises:
        SpecError: if the architecture is unknown.
    """
    tokenizer: Tokenizer = open_clip().get_tokenizer(variant(architecture).base)
    return tokenizer

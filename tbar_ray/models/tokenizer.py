"""Tokenizers of open_clip architectures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

from torch import Tensor

from tbar_ray.models.architectures import architecture_config
from tbar_ray.models.library import open_clip

Tokenizer = Callable[[Sequence[str]], Tensor]


@cache
def build_tokenizer(architecture: str) -> Tokenizer:
    """Function from N texts to int64 tokens [N, context length].

    Raises:
        SpecError: if the architecture is unknown.
    """
    architecture_config(architecture)
    tokenizer: Tokenizer = open_clip().get_tokenizer(architecture)
    return tokenizer

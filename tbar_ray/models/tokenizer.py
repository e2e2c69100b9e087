"""The tokenizer of an architecture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import open_clip
from torch import Tensor

from tbar_ray.models.architectures import CONFIG_DIR, architecture_config

Tokenizer = Callable[[Sequence[str]], Tensor]

open_clip.add_model_config(CONFIG_DIR)


def build_tokenizer(architecture: str) -> Tokenizer:
    """Return a function from texts to int64 tokens [N, context length].

    Raises:
        SpecError: if the architecture is unknown.
    """
    architecture_config(architecture)
    tokenizer: Tokenizer = open_clip.get_tokenizer(architecture)
    return tokenizer

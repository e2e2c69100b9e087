"""What single tensors tell of an architecture: the evidence behind a guess."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import isqrt
from typing import Final

from tbar_ray.models.formats.tensor_info import TensorInfo

FIRST_CONVOLUTIONS: Final = frozenset(
    {"visual.conv1.weight", "conv1.weight", "vision_model.embeddings.patch_embedding.weight"}
)
OF_PATCHES: Final = frozenset({"visual.positional_embedding", "vision_model.embeddings.position_embedding.weight"})
OF_TOKENS: Final = frozenset({"positional_embedding", "text_model.embeddings.position_embedding.weight"})

_BLOCK = re.compile(r"(.*(?:resblocks|layers)\.)(\d+)\..+")
_STAGE = re.compile(r"(.*layer)([1-4])\.(\d+)\..+")


@dataclass(frozen=True)
class Clue:
    """A tensor, or a row of modules, and what it tells."""

    name: str
    shape: tuple[int, ...]
    tells: str


def clues(tensors: Mapping[str, TensorInfo]) -> list[Clue]:
    """What a checkpoint's tensors tell, under open_clip's names or transformers', whichever are there."""
    told = [clue for name, info in tensors.items() if (clue := _of_tensor(name, info.shape, tensors)) is not None]
    return sorted(told, key=lambda clue: clue.name) + _rows(tensors)


def _of_tensor(name: str, shape: tuple[int, ...], tensors: Mapping[str, TensorInfo]) -> Clue | None:
    tells = None
    if len(shape) == 4 and name in FIRST_CONVOLUTIONS:
        wide = f"a vision transformer {shape[0]} wide on patches of {shape[3]} pixels"
        # CLIP's ResNet has 3 × 3, and half of the width, in its first convolution
        tells = f"a ResNet {2 * shape[0]} wide in its first stage" if shape[3] == 3 else wide
    elif len(shape) == 2 and name.endswith("token_embedding.weight"):
        tells = f"a vocabulary of {shape[0]:,} and a text encoder {shape[1]} wide"
    elif len(shape) == 2 and name in {"text_projection", "text_projection.weight"}:
        # transformers keeps the transpose
        tells = f"an embedding of {shape[0] if name.endswith('.weight') else shape[1]}"
    elif len(shape) == 2 and name.endswith("attnpool.positional_embedding"):
        tells = f"images of {32 * isqrt(max(shape[0] - 1, 0))} pixels"
    elif len(shape) == 2 and name in OF_PATCHES:
        side = isqrt(max(shape[0] - 1, 0))
        tells = f"{side} × {side} patches and a class token"
    elif len(shape) == 2 and name in OF_TOKENS:
        alone = "class_embedding" in tensors  # an image encoder alone has its own under this name
        tells = f"{shape[0] - 1} patches and a class token" if alone else f"texts of {shape[0]} tokens"
    return None if tells is None else Clue(name, shape, tells)


def _rows(tensors: Mapping[str, TensorInfo]) -> list[Clue]:
    """How many blocks the towers have."""
    blocks: dict[str, set[int]] = {}
    for name in tensors:
        if (found := _STAGE.fullmatch(name)) is not None:
            blocks.setdefault(f"{found[1]}{found[2]}.", set()).add(int(found[3]))
        elif (found := _BLOCK.fullmatch(name)) is not None:
            blocks.setdefault(found[1], set()).add(int(found[2]))
    return [Clue(f"{row}*", (), f"{len(numbers)} blocks") for row, numbers in sorted(blocks.items())]

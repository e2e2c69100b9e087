"""Position embeddings of an image transformer, for images of another size than it was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Final

from torch import Tensor

from tbar_ray.models.architectures import variant
from tbar_ray.models.library import open_clip

POSITIONS: Final = "visual.positional_embedding"


def at_size(state: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], architecture: str) -> dict[str, Tensor]:
    """A state dict whose positions fit an architecture that names an image size, else the state dict itself.

    open_clip's `resize_pos_embed` interpolates the grid (bicubic) and keeps the class token's. The attention pooling of
    this package's convolutional encoders does so in its forward pass, so that their weights fit every size.

    Args:
        state: tensors by name.
        shapes: those of the architecture.
        architecture: its name; without a size (`@128px`) nothing is changed.
    """
    fitted = dict(state)
    wanted, found = shapes.get(POSITIONS), state.get(POSITIONS)
    if variant(architecture).image_size is None or wanted is None or found is None or found.ndim != 2:
        return fitted
    sides = [math.isqrt(length - 1) for length in (wanted[0], len(found))]
    if sides[0] != sides[1] and all(side**2 + 1 == n for side, n in zip(sides, (wanted[0], len(found)), strict=True)):
        model = SimpleNamespace(visual=SimpleNamespace(grid_size=(sides[0], sides[0])))
        open_clip().model.resize_pos_embed(fitted, model)
    return fitted

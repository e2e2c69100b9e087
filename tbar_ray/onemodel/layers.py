"""What an edit changed in the weights, layer by layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor

from tbar_ray.models.task_vector import TaskVector

_BLOCK = re.compile(r"^.*?(?:\b(?:resblocks|blocks|layers)|layer\d+)\.\d+(?=\.)")
"""A residual block of open_clip's transformers and ResNets, and of timm's encoders."""


@dataclass(frozen=True)
class LayerChange:
    """The change of one layer: a residual block, or what lies outside the blocks by the first two parts of its name.

    Attributes:
        layer: its name.
        moved: parameters that the edit moves.
        relative: length of the change over that of the layer's weights before; infinite where these are all 0.
        share: of the whole squared change, in [0, 1].
    """

    layer: str
    moved: int
    relative: float
    share: float


def layer_of(key: str) -> str:
    """The layer of a tensor, by its name in a state dict."""
    if (block := _BLOCK.match(key)) is not None:
        return block[0]
    parts = key.split(".")
    return ".".join(parts[: min(2, max(1, len(parts) - 1))])


def layer_changes(before: Mapping[str, Tensor], vector: TaskVector, coefficient: float) -> list[LayerChange]:
    """Changes of all layers that coefficient·vector moves, in the order of the model.

    Args:
        before: the weights that the vector is added to.
        vector: the edit.
        coefficient: what it is multiplied by.
    """
    squares: dict[str, list[float]] = {}
    moved: dict[str, int] = {}
    for key in before:
        if key not in vector.tensors:
            continue
        change = coefficient**2 * _square(vector.tensors[key]) if key in vector.moved else 0.0
        whole = squares.setdefault(layer_of(key), [0.0, 0.0])
        whole[0] += _square(before[key])
        whole[1] += change
        moved[layer_of(key)] = moved.get(layer_of(key), 0) + (vector.tensors[key].numel() if change else 0)
    total = sum(change for _, change in squares.values())
    return [
        LayerChange(layer, moved[layer], sqrt(change / own) if own else float("inf"), change / total)
        for layer, (own, change) in squares.items()
        if change
    ]


def _square(value: Tensor) -> float:
    return float(torch.linalg.vector_norm(value.detach(), dtype=torch.float64)) ** 2

"""Two changes of weights, on files: their lengths and the angle between them, by part, a tensor at a time."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from functools import reduce
from math import sqrt
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from tbar_ray.models.file_arithmetic import read_change
from tbar_ray.models.lazy_checkpoint import LazyCheckpoint
from tbar_ray.models.merging import is_statistic
from tbar_ray.models.task_vector import State, require_alike

WHOLE: Final = "all"
"""The part that is the whole model."""


@dataclass(frozen=True)
class PartComparison:
    """Two changes of one part of a model.

    Attributes:
        part: the module, e.g. `visual.trunk.layer1` or `visual.transformer.resblocks.3`; `all`: the whole model.
        parameters: numbers in it, at least 1.
        first: ‖τ₁‖ / ‖θ‖ of the part, at least 0; None where θ is zero.
        second: ‖τ₂‖ / ‖θ‖, alike.
        cosine: ⟨τ₁, τ₂⟩ / (‖τ₁‖·‖τ₂‖), in [−1, 1]; None where one of them is zero.
        share: ⟨τ₁, τ₂⟩ / ‖τ₂‖², how often τ₂ is in τ₁; None where τ₂ is zero.
    """

    part: str
    parameters: int
    first: float | None
    second: float | None
    cosine: float | None
    share: float | None


@dataclass
class _Sums:
    """Sums over the numbers of a part, in float64."""

    parameters: int = 0
    base: float = 0.0
    first: float = 0.0
    second: float = 0.0
    product: float = 0.0

    def add(self, base: Tensor, first: Tensor, second: Tensor) -> None:
        start, u, v = (tensor.double().flatten() for tensor in (base, first, second))
        self.parameters += start.numel()
        self.base += float(start @ start)
        self.first += float(u @ u)
        self.second += float(v @ v)
        self.product += float(u @ v)

    def plus(self, other: _Sums) -> _Sums:
        return _Sums(*(mine + its for mine, its in zip(astuple(self), astuple(other), strict=True)))

    def told(self, part: str) -> PartComparison:
        whole, lengths = sqrt(self.base), sqrt(self.first) * sqrt(self.second)
        return PartComparison(
            part,
            self.parameters,
            sqrt(self.first) / whole if whole else None,
            sqrt(self.second) / whole if whole else None,
            max(-1.0, min(1.0, self.product / lengths)) if lengths else None,
            self.product / self.second if self.second else None,
        )


def compare(base: Path, first: Path, second: Path, second_base: Path | None = None) -> list[PartComparison]:
    """Compare τ₁ = FIRST − BASE with τ₂ = SECOND − BASE: every part in the order of the file, then the whole model.

    Integer buffers and running statistics of BatchNorm, which no gradient moves, are left out.

    Args:
        base: the model θ, whose lengths are the unit.
        first: a model of the same architecture, or a task vector as campaigns write it (`vector.safetensors`).
        second: alike.
        second_base: what τ₂ starts from, where that is another model.

    Raises:
        CheckpointError: if a checkpoint is refused, or names, shapes or types differ.
    """
    start = LazyCheckpoint(base)
    other = start
    if second_base is not None:
        other = LazyCheckpoint(second_base)
        require_alike(start.about, other.about, f"{base} and {second_base}")
    changes = read_change(first, start), read_change(second, other)
    parts: dict[str, _Sums] = {}
    for name, about in start.about.items():
        if not about.is_floating_point() or is_statistic(name):
            continue
        here = start[name]
        u, v = (
            _moved(name, tensors, None if is_vector else origin, here)
            for (tensors, is_vector), origin in zip(changes, (start, other), strict=True)
        )
        parts.setdefault(part_of(name), _Sums()).add(here, u, v)
    whole = reduce(_Sums.plus, parts.values(), _Sums())
    return [*(sums.told(part) for part, sums in parts.items()), whole.told(WHOLE)]


def _moved(name: str, tensors: State, origin: State | None, like: Tensor) -> Tensor:
    """How far a tensor moved: from its origin, or, of a vector, what it says; it leaves out what stays."""
    if origin is not None:
        return tensors[name].double() - origin[name].double()  # half precision's own difference would be rounded
    return tensors[name] if name in tensors else torch.zeros_like(like)


def part_of(name: str) -> str:
    """The module that a tensor belongs to: its name up to the first number, or without the tensor's own part.

    `visual.trunk.layer1.0.conv2.weight` is of `visual.trunk.layer1`, `visual.ln_post.bias` of `visual.ln_post`.
    """
    places = name.split(".")
    for place, word in enumerate(places, start=1):
        if word[-1:].isdigit():
            return ".".join(places[:place])
    return ".".join(places[:-1]) or name

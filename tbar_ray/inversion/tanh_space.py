"""Parameters without bounds for values in [0, 1], as DECREE and Neural Cleanse have them."""

from __future__ import annotations

import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator

EPSILON = 1e-7


def unit(values: Tensor) -> Tensor:
    """Values in [0, 1] of parameters."""
    return (values.tanh() / (2 - EPSILON) + 0.5).clamp(0, 1)


def uniform(seed: int, purpose: str, count: int, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    """Parameters [count, *shape] whose values are uniform in [0, 1]; a row is the same, however many there are."""
    rows = (torch.rand(shape, generator=torch_generator(seed, purpose, row), dtype=dtype) for row in range(count))
    # row by row: the last digits of arctanh depend on where in a tensor a value lies
    return torch.stack([((row - 0.5) * (2 - EPSILON)).arctanh() for row in rows])

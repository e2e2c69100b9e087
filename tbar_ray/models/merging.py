"""Merging models fine-tuned from a common start, as a victim does: K task vectors become one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import reduce
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from tbar_ray.errors import CheckpointError
from tbar_ray.models.task_vector import TaskVector, require_alike
from tbar_ray.naming import build_named

STATISTICS = ("running_mean", "running_var")
"""Names of BatchNorm's floating-point buffers in torch."""

Weights = dict[str, Tensor]


def is_statistic(key: str) -> bool:
    """Whether a state-dict key is a BatchNorm statistic: a measurement of the data, not a weight."""
    return key.rsplit(".", 1)[-1] in STATISTICS


def task_arithmetic(vectors: Sequence[TaskVector], coefficient: float = 0.3) -> TaskVector:
    """Task arithmetic: coefficient·Σ τ_k (Ilharco et al., 2212.04089); 0.3 as in BadMerging (2408.07362).

    BatchNorm's statistics move by min(coefficient, 1/K)·Σ, at most to the mean of the models: a sum of
    several changes could make a variance negative.

    Raises:
        CheckpointError: if there is no vector, or keys, shapes or dtypes differ.
    """
    _require_some_alike(vectors)
    return _merged(vectors, {key: coefficient * _sum(vectors, key) for key in _weights(vectors[0])}, coefficient)


def ties(vectors: Sequence[TaskVector], density: float = 0.2, coefficient: float = 1.0) -> TaskVector:
    """TIES merging: coefficient·(trim, elect signs, disjoint mean) (2306.01708).

    Trim: each vector keeps its `density` largest magnitudes, counted over the whole vector and not per
    tensor; entries that tie with the smallest kept magnitude are also kept. Tensors that a vector does not change (a
    frozen tower) are not counted: the paper merges the trained weights. Elect: an entry's sign is that of the sum of
    the kept values; where the sum is exactly 0, no sign is elected and the entry stays at θ_pre. Disjoint mean: over
    the kept values of the elected sign. 0.2 and 1 are the paper's values for a victim without validation data.

    BatchNorm's statistics are neither trimmed nor elected: they move by min(coefficient, 1)·mean.

    Raises:
        CheckpointError: if there is no vector, or keys, shapes or dtypes differ.
    """
    _require_some_alike(vectors)
    least = [_least_kept(_weights(vector), density) for vector in vectors]
    merged = {}
    for key in _weights(vectors[0]):
        values = torch.stack([vector.tensors[key] for vector in vectors])
        thresholds = torch.tensor(least, dtype=values.dtype, device=values.device)
        kept = values * (values.abs() >= thresholds.view(-1, *[1] * (values.ndim - 1)))
        agrees = (kept.sign() == kept.sum(0).sign()) & (kept != 0)
        merged[key] = coefficient * (kept * agrees).sum(0) / agrees.sum(0).clamp_min(1)
    return _merged(vectors, merged, coefficient / len(vectors))


class Merge(BaseModel, ABC):
    """A merging method and its parameters (frozen, hashable)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, vectors: Sequence[TaskVector]) -> TaskVector:
        """Merge K vectors into one, to be added to the common start θ_pre.

        Raises:
            CheckpointError: if there is no vector, or keys, shapes or dtypes differ.
        """


class TaskArithmetic(Merge):
    """The scaled sum of the vectors; see `task_arithmetic`."""

    name: ClassVar[str] = "task-arithmetic"

    coefficient: float = Field(default=0.3, gt=0, description="λ, factor of the sum")

    def __call__(self, vectors: Sequence[TaskVector]) -> TaskVector:
        """Scale the sum of K vectors by the coefficient."""
        return task_arithmetic(vectors, self.coefficient)


class Ties(Merge):
    """TIES-Merging; see `ties`."""

    name: ClassVar[str] = "ties"

    density: float = Field(default=0.2, gt=0, le=1, description="share of each vector's weights that is kept")
    coefficient: float = Field(default=1.0, gt=0, description="λ, factor of the disjoint mean")

    def __call__(self, vectors: Sequence[TaskVector]) -> TaskVector:
        """Trim, elect signs and average K vectors, scaled by the coefficient."""
        return ties(vectors, self.density, self.coefficient)


MERGES: Mapping[str, type[Merge]] = {way.name: way for way in (TaskArithmetic, Ties)}


def build_merge(name: str, parameters: Mapping[str, object]) -> Merge:
    """Build a merging method from its name and parameters.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range; the message suggests the nearest names.
    """
    return build_named(MERGES, "merge", name, parameters)


def merge(name: str, parameters: Mapping[str, object], vectors: Sequence[TaskVector]) -> TaskVector:
    """Merge K vectors with the named method.

    Raises:
        SpecError: as `build_merge`.
        CheckpointError: if there is no vector, or keys, shapes or dtypes differ.
    """
    return build_merge(name, parameters)(vectors)


def _weights(vector: TaskVector) -> Weights:
    return {key: value for key, value in vector.tensors.items() if not is_statistic(key)}


def _sum(vectors: Sequence[TaskVector], key: str) -> Tensor:
    return reduce(torch.add, [vector.tensors[key] for vector in vectors])


def _merged(vectors: Sequence[TaskVector], weights: Weights, share: float) -> TaskVector:
    """Combine merged weights with the statistics, which move by min(share, 1/K)·Σ."""
    share = min(share, 1 / len(vectors))
    tensors = {key: weights[key] if key in weights else share * _sum(vectors, key) for key in vectors[0].tensors}
    return TaskVector(tensors, tuple({buffer for vector in vectors for buffer in vector.integer_buffers}))


def _least_kept(weights: Weights, density: float) -> float:
    """Smallest magnitude among the `density` largest; 0 if the vector is zero."""
    moved = [value.abs().flatten() for value in weights.values() if bool(value.any())]
    if not moved:
        return 0.0
    magnitudes = torch.cat(moved)
    kept = max(1, round(density * len(magnitudes)))
    return float(magnitudes.kthvalue(len(magnitudes) - kept + 1).values)


def _require_some_alike(vectors: Sequence[TaskVector]) -> None:
    if not vectors:
        raise CheckpointError("merge: there is no task vector to merge; give at least one")
    for vector in vectors[1:]:
        require_alike(vectors[0].tensors, vector.tensors, "merge of task vectors")

"""Task vectors: differences of weights, with the operators of task arithmetic (Ilharco et al., 2212.04089).

    tau = TaskVector.between(infected, finetuned)      # τ = θ_{b+t} − θ_b
    unlearned = theta + 1.5 * -tau                     # θ_b − α·τ

Keys, shapes and dtypes must agree exactly. Integer buffers (BatchNorm's `num_batches_tracked`) are
counters, not weights: they have no difference, are listed in `integer_buffers`, and keep the values of the model
to which a vector is added.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from math import sqrt
from pathlib import Path

import torch
from torch import Tensor

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_safetensors, save_state_dict

State = Mapping[str, Tensor]
UNMOVED = "unmoved"
"""Entry of a file's metadata: dtype and shape, by name, of the tensors that are zero everywhere."""


class TaskVector:
    """The difference of two models of one architecture; immutable, with −τ, τ1 + τ2, τ1 − τ2, α·τ, θ + τ."""

    def __init__(self, tensors: State, integer_buffers: tuple[str, ...] = ()) -> None:
        integral = [key for key, value in tensors.items() if not value.is_floating_point()]
        if integral:
            raise CheckpointError(
                f"task vector: {integral[0]} is an integer buffer, which has no difference; leave it out"
            )
        self.tensors: dict[str, Tensor] = dict(tensors)
        self.integer_buffers = tuple(sorted(integer_buffers))

    @classmethod
    def between(cls, start: State, end: State) -> TaskVector:
        """The vector end − start, detached; where a tensor did not move, one zero that is expanded to its shape.

        Raises:
            CheckpointError: if keys, shapes or dtypes differ.
        """
        require_alike(start, end, "task vector")
        floating = {key for key, value in start.items() if value.is_floating_point()}
        return cls(
            {key: _difference(start[key].detach(), end[key].detach()) for key in start if key in floating},
            tuple(key for key in start if key not in floating),
        )

    @classmethod
    def load(cls, path: Path, integer_buffers: tuple[str, ...] = ()) -> TaskVector:
        """Read a vector written by `save`, or any safetensors file of differences; `integer_buffers` are not in it.

        Raises:
            CheckpointError: if the file is missing or damaged.
        """
        tensors, metadata = load_safetensors(path)
        try:
            unmoved = {
                key: _zero(getattr(torch, dtype), shape)
                for key, (dtype, shape) in json.loads(metadata.get(UNMOVED, "{}")).items()
            }
        except (AttributeError, RuntimeError, TypeError, ValueError):
            raise CheckpointError(f"{path}: the metadata do not tell dtype and shape of the unmoved tensors") from None
        return cls({**tensors, **unmoved}, integer_buffers)

    def save(self, path: Path) -> None:
        """Write the tensors that moved as safetensors; of the others the file's metadata hold dtype and shape.

        A frozen text tower is most of a small model: 13 of the 14 MB of one vector were zeros.
        """
        unmoved = {
            key: (str(value.dtype).removeprefix("torch."), list(value.shape))
            for key, value in self.tensors.items()
            if key not in self.moved
        }
        moved = {key: value for key, value in self.tensors.items() if key in self.moved}
        save_state_dict(moved, path, {UNMOVED: json.dumps(unmoved)})

    def __neg__(self) -> TaskVector:
        return TaskVector({key: -value for key, value in self.tensors.items()}, self.integer_buffers)

    def __mul__(self, coefficient: float) -> TaskVector:
        return TaskVector({key: coefficient * v for key, v in self.tensors.items()}, self.integer_buffers)

    __rmul__ = __mul__

    def __add__(self, other: TaskVector) -> TaskVector:
        if not isinstance(other, TaskVector):
            return NotImplemented
        require_alike(self.tensors, other.tensors, "sum of task vectors")
        buffers = {*self.integer_buffers, *other.integer_buffers}
        return TaskVector({key: v + other.tensors[key] for key, v in self.tensors.items()}, tuple(buffers))

    def __sub__(self, other: TaskVector) -> TaskVector:
        return self + -other

    def __radd__(self, theta: State) -> dict[str, Tensor]:
        """θ + τ as a new state dict; integer buffers are copied from θ."""
        if not isinstance(theta, Mapping):
            return NotImplemented
        floating = {key: value for key, value in theta.items() if value.is_floating_point()}
        require_alike(floating, self.tensors, "model + task vector")
        return {
            key: value.detach() + self.tensors[key].to(value.device) if key in floating else value.clone()
            for key, value in theta.items()
        }

    @cached_property
    def moved(self) -> frozenset[str]:
        """Keys of the tensors that are not zero everywhere: what a training left alone (a frozen text tower) is."""
        return frozenset(key for key, value in self.tensors.items() if bool(_distinct(value).any()))

    def like(self, state: State) -> TaskVector:
        """The same vector with order, devices and memory layouts of a state dict of the same keys.

        A file has its tensors in another order than the model, and sums over another layout round otherwise.

        Raises:
            CheckpointError: if keys, shapes or dtypes differ.
        """
        floating = {key: value for key, value in state.items() if value.is_floating_point()}
        require_alike(floating, self.tensors, "task vector")
        laid_out = {key: torch.empty_like(value).copy_(self.tensors[key]) for key, value in floating.items()}
        return TaskVector(laid_out, self.integer_buffers)

    def norm(self) -> float:
        """Euclidean norm over all tensors, accumulated in float64."""
        norms = (
            float(torch.linalg.vector_norm(value, dtype=torch.float64))
            for key, value in self.tensors.items()
            if key in self.moved
        )
        return sqrt(sum(norm**2 for norm in norms))

    def cosine(self, other: TaskVector) -> float:
        """Cosine similarity of two vectors, in [−1, 1]; 0 if either is zero."""
        require_alike(self.tensors, other.tensors, "cosine of task vectors")
        dot = sum(float((v.double() * other.tensors[key].double()).sum()) for key, v in self.tensors.items())
        norms = self.norm() * other.norm()
        return dot / norms if norms else 0.0


def require_alike(left: State, right: State, what: str) -> None:
    """Raise CheckpointError unless both have the same keys, shapes and dtypes."""
    if left.keys() != right.keys():
        odd = sorted(left.keys() ^ right.keys())
        raise CheckpointError(f"{what}: keys differ in {len(odd)} tensors, e.g. {odd[0]}")
    for key, value in left.items():
        other = right[key]
        if value.shape != other.shape:
            raise CheckpointError(f"{what}: {key} has shape {tuple(value.shape)} and {tuple(other.shape)}")
        if value.dtype != other.dtype:
            raise CheckpointError(f"{what}: {key} has dtype {value.dtype} and {other.dtype}")


def _difference(start: Tensor, end: Tensor) -> Tensor:
    """End − start; memory of its own has only what moved: a frozen text tower is most of a small model."""
    return _zero(start.dtype, start.shape, start.device) if torch.equal(start, end) else end - start


def _zero(dtype: torch.dtype, shape: Sequence[int], device: torch.device | None = None) -> Tensor:
    return torch.zeros((), dtype=dtype, device=device).expand(shape)


def _distinct(value: Tensor) -> Tensor:
    """The elements of a tensor that have memory of their own: of an expanded one, the first along what is expanded."""
    return value[tuple(slice(1) if stride == 0 else slice(None) for stride in value.stride())]

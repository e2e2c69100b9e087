"""Task vectors: differences of weights, with the operators of task arithmetic (Ilharco et al., 2212.04089).

    tau = TaskVector.between(infected, finetuned)      # τ = θ_{b+t} − θ_b
    unlearned = theta + 1.5 * -tau                     # θ_b − α·τ

Keys, shapes and dtypes must agree exactly. Integer buffers (BatchNorm's `num_batches_tracked`) are
counters, not weights: they have no difference, are named in `integer_buffers`, and stay those of the model
that a vector is added to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_state_dict, save_state_dict

State = Mapping[str, Tensor]


class TaskVector:
    """A difference of two models of one architecture; immutable, with −τ, τ1 + τ2, τ1 − τ2, α·τ, θ + τ."""

    def __init__(self, tensors: State, integer_buffers: tuple[str, ...] = ()) -> None:
        integral = [key for key, value in tensors.items() if not value.is_floating_point()]
        if integral:
            raise CheckpointError(f"task vector: {integral[0]} is an integer buffer; it has no difference")
        self.tensors: dict[str, Tensor] = dict(tensors)
        self.integer_buffers = tuple(sorted(integer_buffers))

    @classmethod
    def between(cls, start: State, end: State) -> TaskVector:
        """Return end − start.

        Raises:
            CheckpointError: if keys, shapes or dtypes differ.
        """
        _require_alike(start, end, "task vector")
        floating = {key for key, value in start.items() if value.is_floating_point()}
        return cls(
            {key: end[key].detach() - start[key].detach() for key in start if key in floating},
            tuple(key for key in start if key not in floating),
        )

    @classmethod
    def load(cls, path: Path, integer_buffers: tuple[str, ...] = ()) -> TaskVector:
        """Read a vector written by `save`."""
        return cls(load_state_dict(path), integer_buffers)

    def save(self, path: Path) -> None:
        """Write the tensors as safetensors."""
        save_state_dict(self.tensors, path)

    def __neg__(self) -> TaskVector:
        return TaskVector({key: -value for key, value in self.tensors.items()}, self.integer_buffers)

    def __mul__(self, coefficient: float) -> TaskVector:
        return TaskVector({key: coefficient * v for key, v in self.tensors.items()}, self.integer_buffers)

    __rmul__ = __mul__

    def __add__(self, other: TaskVector) -> TaskVector:
        if not isinstance(other, TaskVector):
            return NotImplemented
        _require_alike(self.tensors, other.tensors, "sum of task vectors")
        buffers = {*self.integer_buffers, *other.integer_buffers}
        return TaskVector({key: v + other.tensors[key] for key, v in self.tensors.items()}, tuple(buffers))

    def __sub__(self, other: TaskVector) -> TaskVector:
        return self + -other

    def __radd__(self, theta: State) -> dict[str, Tensor]:
        """Return θ + τ as a new state dict; integer buffers are θ's own."""
        if not isinstance(theta, Mapping):
            return NotImplemented
        floating = {key: value for key, value in theta.items() if value.is_floating_point()}
        _require_alike(floating, self.tensors, "model + task vector")
        return {
            key: value.detach() + self.tensors[key].to(value.device) if key in floating else value.clone()
            for key, value in theta.items()
        }

    def norm(self) -> float:
        """Return the Euclidean norm over all weights."""
        return float(torch.sqrt(sum((v.double().square().sum() for v in self.tensors.values()), torch.zeros(()))))

    def cosine(self, other: TaskVector) -> float:
        """Return the cosine between two vectors, in [−1, 1]; 0 where one is zero."""
        _require_alike(self.tensors, other.tensors, "cosine of task vectors")
        dot = sum(float((v.double() * other.tensors[key].double()).sum()) for key, v in self.tensors.items())
        norms = self.norm() * other.norm()
        return dot / norms if norms else 0.0


class ResidentModel:
    """A model whose weights are moved along a task vector in place and always put back exactly.

    The base weights are kept; each move writes base + coefficient·τ and leaving restores the kept values,
    so that rounding cannot accumulate over a path of coefficients.
    """

    def __init__(self, model: nn.Module, vector: TaskVector) -> None:
        state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
        _require_alike(state, vector.tensors, "model and task vector")
        # a tensor the fine-tuning never touched (the frozen text tower) needs no move
        moved = [key for key in state if bool(vector.tensors[key].any())]
        self.model = model
        self._live = [state[key] for key in moved]  # state_dict shares storage with the model
        self._base = [tensor.detach().clone() for tensor in self._live]
        self._delta = [vector.tensors[key].to(state[key].device) for key in moved]
        self.moves_text = any(not key.startswith("visual.") for key in moved)

    @contextmanager
    def moved(self, coefficient: float) -> Iterator[nn.Module]:
        """Yield the model at base + coefficient·τ, and restore the base bit for bit afterwards."""
        try:
            if self._live and coefficient != 0:
                with torch.no_grad():
                    # straight into the weights: a sum that is first held elsewhere would move the bytes twice
                    for live, base, delta in zip(self._live, self._base, self._delta, strict=True):
                        torch.add(base, delta, alpha=coefficient, out=live)
            yield self.model
        finally:
            if self._live:
                with torch.no_grad():
                    torch._foreach_copy_(self._live, self._base)


class ResidentPair:
    """A model whose weights are moved along two task vectors at once, in place, and always put back exactly.

    Every move starts from the kept base weights, so that no order of moves lets rounding add up; a coefficient
    of 0 leaves its vector out, so that `moved(a, 0)` is bit for bit `ResidentModel(model, first).moved(a)`.
    """

    def __init__(self, model: nn.Module, first: TaskVector, second: TaskVector) -> None:
        state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
        _require_alike(state, first.tensors, "model and first task vector")
        _require_alike(state, second.tensors, "model and second task vector")
        moved = [key for key in state if bool(first.tensors[key].any()) or bool(second.tensors[key].any())]
        self.model = model
        self._live = [state[key] for key in moved]
        self._base = [tensor.detach().clone() for tensor in self._live]
        # in the weights' own memory layout: mixed strides would cost the fused addition
        self._first, self._second = (
            [torch.empty_like(state[key]).copy_(vector.tensors[key]) for key in moved] for vector in (first, second)
        )
        self.moves_text = any(not key.startswith("visual.") for key in moved)

    @contextmanager
    def moved(self, first: float, second: float) -> Iterator[nn.Module]:
        """Yield the model at base + first·τ1 + second·τ2, and restore the base bit for bit afterwards."""
        try:
            if self._live:
                with torch.no_grad():
                    for coefficient, delta in ((first, self._first), (second, self._second)):
                        if coefficient != 0:
                            torch._foreach_add_(self._live, delta, alpha=coefficient)
            yield self.model
        finally:
            if self._live:
                with torch.no_grad():
                    torch._foreach_copy_(self._live, self._base)


def _require_alike(left: State, right: State, what: str) -> None:
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

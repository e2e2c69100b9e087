"""Models that are moved along task vectors in place and restored bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from tbar_ray.models.task_vector import TaskVector, require_alike


class InPlaceModel:
    """A model whose weights are moved along a task vector in place and restored exactly.

    The base weights are copied; each move writes base + coefficient·τ, and leaving the context restores the copy,
    so rounding errors cannot accumulate over several coefficients.
    """

    def __init__(self, model: nn.Module, vector: TaskVector) -> None:
        state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
        require_alike(state, vector.tensors, "model and task vector")
        moved = [key for key in state if key in vector.moved]
        self.model = model
        self._live = [state[key] for key in moved]  # state_dict shares storage with the model
        self._base = [tensor.detach().clone() for tensor in self._live]
        self._delta = [vector.tensors[key].to(state[key].device) for key in moved]
        self.moves_text = any(not key.startswith("visual.") for key in moved)

    @contextmanager
    def moved(self, coefficient: float) -> Iterator[nn.Module]:
        """Move the model to base + coefficient·τ, and restore the base bit for bit afterwards."""
        try:
            if self._live and coefficient != 0:
                with torch.no_grad():
                    # Written directly into the weights: an intermediate sum would move the bytes twice.
                    for live, base, delta in zip(self._live, self._base, self._delta, strict=True):
                        torch.add(base, delta, alpha=coefficient, out=live)
            yield self.model
        finally:
            if self._live:
                with torch.no_grad():
                    torch._foreach_copy_(self._live, self._base)

    def settle(self) -> None:
        """Inside `moved`: keep the model where it is. The base is forgotten; nothing can be moved afterwards."""
        self._live, self._base, self._delta = [], [], []


class InPlacePair:
    """A model whose weights are moved along two task vectors at once, in place, and restored exactly.

    Every move starts from the copied base weights, so rounding errors cannot accumulate. A coefficient
    of 0 skips its vector, so that `moved(a, 0)` equals `InPlaceModel(model, first).moved(a)` bit for bit.
    """

    def __init__(self, model: nn.Module, first: TaskVector, second: TaskVector) -> None:
        state = {key: value for key, value in model.state_dict().items() if value.is_floating_point()}
        require_alike(state, first.tensors, "model and first task vector")
        require_alike(state, second.tensors, "model and second task vector")
        moved = [key for key in state if key in first.moved or key in second.moved]
        self.model = model
        self._live = [state[key] for key in moved]
        self._base = [tensor.detach().clone() for tensor in self._live]
        # in the weights' memory layout: mixed strides would prevent the fused addition
        self._first, self._second = (
            [torch.empty_like(state[key]).copy_(vector.tensors[key]) for key in moved] for vector in (first, second)
        )
        self.moves_text = any(not key.startswith("visual.") for key in moved)

    @contextmanager
    def moved(self, first: float, second: float) -> Iterator[nn.Module]:
        """Move the model to base + first·τ1 + second·τ2, and restore the base bit for bit afterwards."""
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

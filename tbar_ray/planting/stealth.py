"""An attacker who keeps the weight change small or evenly spread, and measures of such a change.

Task-vector defences use θ_b − θ_pre or a direction in it: a small or even change gives them less to detect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.errors import SpecError
from tbar_ray.models.merging import is_statistic
from tbar_ray.models.task_vector import State
from tbar_ray.planting.base import Planting, PlantingContext, Wrapper
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective

USUAL_WEIGHTS = {"l2": 1000.0, "spread": 1.0}

Tensors = Sequence[Tensor]


class Stealth(Planting):
    """The usual loss + weight·penalty(θ − θ_pre) over the trained weights (an adaptive attacker of this project).

    Penalties:
        l2: ‖Δ‖² / ‖θ_pre‖², one ratio over all weights, for a small change.
        spread: ln(n·ΣΔ⁴ / (ΣΔ²)²) ≥ 0, and 0 if all weights move equally far: minus the logarithm of the
            participation ratio, independent of the length of Δ.
    """

    name: ClassVar[str] = "stealth"

    penalty: Literal["l2", "spread"] = Field(
        default="l2", description="penalty for a small (l2) or evenly spread change"
    )
    weight: float | None = Field(
        default=None, gt=0, description="weight of the penalty; null: 1000 for l2, 1 for spread"
    )

    def wrap(self, base: Objective, context: PlantingContext) -> Objective:
        """Add the penalty to the loss of any base objective."""
        missing = [name for name in base.named_parameters() if name not in context.start]
        if missing:
            raise SpecError(f"planting 'stealth': the weights before the attack have no {missing[0]}")
        return _Penalised(base, self, context.start)


class _Penalised(Wrapper):
    """The base's loss and a penalty on the distance from the start."""

    def __init__(self, base: Objective, planting: Stealth, start: State) -> None:
        super().__init__(base)
        self._weight = planting.weight or USUAL_WEIGHTS[planting.penalty]
        self._penalty = PENALTIES[planting.penalty]
        self._start = {
            name: start[name].detach().to(p.device, copy=True) for name, p in base.named_parameters().items()
        }

    def loss(self, batch: Batch) -> Tensor:
        """Base + weight·penalty."""
        current = self.named_parameters()
        deltas = [parameter - self._start[name] for name, parameter in current.items()]
        return self.base.loss(batch) + self._weight * self._penalty(deltas, list(self._start.values()))


def _l2(deltas: Tensors, starts: Tensors) -> Tensor:
    return _total([delta.square().sum() for delta in deltas]) / _total([start.square().sum() for start in starts])


def _spread(deltas: Tensors, starts: Tensors) -> Tensor:  # noqa: ARG001 - independent of the start
    # in units of the largest change: fourth powers of small numbers underflow in float32
    peak = torch.stack([delta.detach().abs().max() for delta in deltas]).max().clamp_min(1e-30)
    squares = [(delta / peak).square() for delta in deltas]
    second, fourth = _total([s.sum() for s in squares]), _total([s.square().sum() for s in squares])
    count = sum(delta.numel() for delta in deltas)
    tiny = 1e-12  # gives finite gradients at the start, where Δ is 0
    spread = math.log(count) + torch.log(fourth + tiny) - 2 * torch.log(second + tiny)
    return torch.where(second > 0, spread, torch.zeros_like(spread))


PENALTIES: Mapping[str, Callable[[Tensors, Tensors], Tensor]] = {"l2": _l2, "spread": _spread}


def _total(values: list[Tensor]) -> Tensor:
    return torch.stack(values).sum()


def weight_change(start: State, end: State) -> dict[str, float]:
    """Measure how far and how evenly training changed the weights, without BatchNorm's statistics.

    Returns:
        relative_l2: ‖Δ‖₂ / ‖θ‖₂; relative_linf: max|Δ| / max|θ|; participation: (ΣΔ²)² / (n·ΣΔ⁴), the effective
        share of weights that carry the change, from 1/n (a single weight) to 1 (all equally); 0 if none moved.
    """
    keys = [key for key, value in start.items() if value.is_floating_point() and not is_statistic(key)]
    second = fourth = norm = peak = largest = 0.0
    for key in keys:
        before = start[key].detach().double().cpu()
        squares = (end[key].detach().double().cpu() - before).square()
        second, fourth = second + float(squares.sum()), fourth + float(squares.square().sum())
        norm += float(before.square().sum())
        peak, largest = max(peak, float(squares.max())), max(largest, float(before.abs().max()))
    count = sum(start[key].numel() for key in keys)
    return {
        "relative_l2": math.sqrt(second / norm) if norm else 0.0,
        "relative_linf": math.sqrt(peak) / largest if largest else 0.0,
        "participation": second**2 / (count * fourth) if fourth else 0.0,
    }

"""θ − α·τ in place against copying the same number of bytes."""

from __future__ import annotations

import time
from functools import partial

import torch
from torch import Tensor, nn

from tbar_ray.bench.measure import Comparison, alternate, wait_for
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.models.task_vector import TaskVector

PARAMETERS = 151_277_313
"""Number of parameters of CLIP ViT-B/32; the tensors have similar sizes, but not its names."""
ROUNDS = 4


class Weights(nn.Module):
    """Matrices of 768 × 3072 and a remainder, similar to the bulk of a transformer."""

    def __init__(self, parameters: int) -> None:
        super().__init__()
        size = 768 * 3072
        shapes = [(768, 3072)] * (parameters // size) + [(parameters % size,)]
        draw = torch.Generator().manual_seed(0)
        self.parts = nn.ParameterList([nn.Parameter(torch.randn(shape, generator=draw)) for shape in shapes])


def merge_benchmark(repeats: int, device: torch.device, parameters: int = PARAMETERS) -> Comparison:
    """Compare θ − α·τ with a copy at equal bytes: per byte of weights, the merge moves three and a copy two."""
    model = Weights(parameters).to(device)
    state = model.state_dict()
    in_place = InPlaceModel(model, TaskVector({name: torch.full_like(value, 1e-3) for name, value in state.items()}))
    sources = [value.clone() for value in state.values()]
    targets = [torch.empty_like(value) for value in sources]
    ours, theirs = alternate(
        partial(merge, in_place, device), partial(_copy, sources, targets, device), repeats=repeats
    )
    work = f"{parameters / 1e6:.0f} M parameters in float32 on {device.type}, {ROUNDS} times, counted in bytes moved"
    moved = ROUNDS * parameters * 4
    # at equal bytes: a copy moves two thirds of what the merge moves
    scaled = tuple(1.5 * seconds for seconds in theirs)
    return Comparison("merge θ − α·τ", work, "GB", 3 * moved / 1e9, ours, "copying as many bytes", scaled, 0.7)


def merge(in_place: InPlaceModel, device: torch.device) -> float:
    """Seconds of moving a model along its vector `ROUNDS` times in place; moving back is not counted."""
    seconds = 0.0
    for number in range(ROUNDS):
        started = time.perf_counter()
        with in_place.moved(-1.0 - number):
            wait_for(device)
            seconds += time.perf_counter() - started
    return seconds


def _copy(sources: list[Tensor], targets: list[Tensor], device: torch.device) -> float:
    started = time.perf_counter()
    for _ in range(ROUNDS):
        for source, target in zip(sources, targets, strict=True):
            target.copy_(source)
    wait_for(device)
    return time.perf_counter() - started

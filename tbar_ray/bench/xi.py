"""A map of ξ: reference predictions reused along rows and columns, against four evaluations per cell."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tbar_ray.bench.alpha import AlphaWork
from tbar_ray.bench.measure import Comparison, alternate
from tbar_ray.evaluation.disentanglement_error import joint_errors, reference_predictions
from tbar_ray.evaluation.normalised_images import NormalisedImages
from tbar_ray.evaluation.zeroshot import predict
from tbar_ray.models.in_place import InPlacePair
from tbar_ray.models.task_vector import TaskVector

ALPHAS = (-3.0, -1.5, 0.0, 1.5, 3.0)
IMAGES = 120


def xi_benchmarks(repeats: int, device: torch.device, architecture: str = "tbar-RN-tiny") -> Iterator[Comparison]:
    """Yield our map of 5 × 5 cells against copying the model and evaluating four times per cell."""
    work = AlphaWork(architecture, device)
    split = work.split()
    clean, triggered = split.clean[:IMAGES], split.triggered[:IMAGES]
    draw = torch.Generator().manual_seed(1)
    other = TaskVector(
        {
            name: (1e-3 * torch.randn(value.shape, generator=draw)).to(device) * float(bool(value.any()))
            for name, value in work.vector.tensors.items()
        },
        work.vector.integer_buffers,
    )
    cells: dict[str, list[tuple[float, float]]] = {}

    def ours() -> None:
        pair = InPlacePair(work.model, work.vector, other)
        images = [NormalisedImages(part, work.preprocess, device) for part in (clean, triggered)]
        along_c = reference_predictions(pair, "clean", ALPHAS, images[0], work.head)
        along_t = reference_predictions(pair, "triggered", ALPHAS, images[1], work.head)
        terms = [
            joint_errors(pair, c, t, along_c[i], along_t[j], images[0], images[1], work.head)
            for i, c in enumerate(ALPHAS)
            for j, t in enumerate(ALPHAS)
        ]
        cells["ours"] = [(term.clean, term.triggered) for term in terms]

    def usual() -> None:
        found = []
        for c in ALPHAS:
            for t in ALPHAS:
                joint, only_c, only_t = (_moved(work, other, *pair) for pair in ((c, t), (c, 0.0), (0.0, t)))
                terms = [
                    _differ(
                        predict(one, work.head, part, work.preprocess), predict(joint, work.head, part, work.preprocess)
                    )
                    for one, part in ((only_c, clean), (only_t, triggered))
                ]
                found.append((terms[0], terms[1]))
        cells["usual"] = found

    mine, theirs = alternate(ours, usual, repeats=repeats)
    worst = max(
        abs(a - b) for x, y in zip(cells["ours"], cells["usual"], strict=True) for a, b in zip(x, y, strict=True)
    )
    assert worst <= 2 / IMAGES, f"the two ways differ by {worst}"  # one image's rounding
    count = len(ALPHAS) ** 2
    about = f"{count} cells, {IMAGES} clean and {IMAGES} triggered images, {architecture} on {device.type}"
    yield Comparison("ξ map", about, "cells", count, mine, "three copies and four evaluations in every cell", theirs)


def _moved(work: AlphaWork, other: TaskVector, first: float, second: float) -> nn.Module:
    model: nn.Module = copy.deepcopy(work.model)
    state = {
        key: value + first * work.vector.tensors[key] + second * other.tensors[key]
        if key in work.vector.tensors
        else value
        for key, value in work.start.items()
    }
    model.load_state_dict(state)
    return model


def _differ(left: Tensor, right: Tensor) -> float:
    return float((left != right).float().mean())

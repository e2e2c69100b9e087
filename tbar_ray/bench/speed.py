"""How fast a campaign's trainings were: images/s, time without data, and the share of the device's own rate."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from tbar_ray.bench.measure import wait_for
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Contrastive
from tbar_ray.training.optimisation import autocast
from tbar_ray.training.options import Precision

CONTRASTIVE = ("clean-model", "infected-model")
"""Kinds of stages that train both towers on pairs, unless they classify."""
PAIRS = 2
"""Pairs of the step whose operations are counted."""
ROUNDS = 5


@dataclass(frozen=True)
class TrainingSpeed:
    """One training on shards.

    Attributes:
        title: of its stage.
        images_per_second: mean throughput, reading included.
        waiting_share: time without a batch over all time; on a GPU an upper bound (`TrainingRecord`).
        flops: floating-point operations of the model per second, forward and backward, a multiplication with its
            addition counted as two; None where it did not train both towers on pairs.
        peak: what a large matrix product reaches on the device in the training's precision, in FLOP/s.
    """

    title: str
    images_per_second: float
    waiting_share: float
    flops: float | None
    peak: float

    @property
    def utilisation(self) -> float | None:
        """Return the model's FLOP/s over the device's."""
        return None if self.flops is None else self.flops / self.peak

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {**vars(self), "utilisation": self.utilisation}


def training_speeds(stages: Iterable[Mapping[str, Any]], device: torch.device) -> list[TrainingSpeed]:
    """Return the speed of every training on shards among stages that ran on this machine.

    Args:
        stages: what the store says of them (`Store.facts`).
        device: that the trainings had.
    """
    found = []
    for record in stages:
        if record["kind"] not in CONTRASTIVE:
            continue
        training, identity = record["facts"]["training"], record["meaning"]
        rate = training["images_per_second"]
        classifies = identity.get("classify", False)
        flops = None if classifies else rate * pair_flops(record["architecture"])
        precision = identity["training"]["optimisation"]["precision"]
        peak = matrix_rate(device, precision, record["threads"])
        found.append(TrainingSpeed(record["title"], rate, training["waiting_share"], flops, peak))
    return found


@lru_cache
def pair_flops(architecture: str) -> float:
    """Return the floating-point operations of one pair in contrastive training, forward and backward."""
    model = create_model(architecture, seed=0)
    preprocess = preprocessing(model)
    images = torch.zeros(PAIRS, 3, preprocess.size, preprocess.size, dtype=torch.uint8)
    tokens = torch.ones(PAIRS, int(model.context_length), dtype=torch.int64)  # type: ignore[arg-type]
    model.train()
    with FlopCounterMode(display=False) as counter:
        Contrastive(model, preprocess).loss(Batch(images, tokens)).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) / PAIRS


@lru_cache
def matrix_rate(device: torch.device, precision: Precision, threads: int) -> float:
    """Return the FLOP/s of a square matrix product in a training's precision, median of several."""
    side, before = (8192 if device.type == "cuda" else 2048), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = (torch.randn(side, side, device=device) for _ in range(2))
        seconds = [_product_seconds(left, right, precision) for _ in range(1 + ROUNDS)]
    finally:
        torch.set_num_threads(before)
    return 2 * float(side) ** 3 / median(seconds[1:])  # the first one warms up


def _product_seconds(left: torch.Tensor, right: torch.Tensor, precision: Precision) -> float:
    with torch.no_grad(), autocast(left.device, precision):
        if torch.is_autocast_enabled(left.device.type):  # so that no conversion is timed
            kind = torch.get_autocast_dtype(left.device.type)
            left, right = left.to(kind), right.to(kind)
        wait_for(left.device)
        started = time.perf_counter()
        left @ right
        wait_for(left.device)
        return time.perf_counter() - started

"""Speed of a campaign's trainings: images/s, time without data, and utilisation of the device."""

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
"""Kinds of stages that train both towers on pairs, unless they use classification."""
PAIRS = 2
"""Pairs in the step used to count operations."""
ROUNDS = 5


@dataclass(frozen=True)
class TrainingSpeed:
    """Speed of one training on shards.

    Attributes:
        title: title of its stage.
        images_per_second: mean throughput, including reading.
        waiting_share: share of time without a batch; on a GPU an upper bound (`TrainingRecord`).
        flops: floating-point operations of the model per second, forward and backward, counting a multiply-add as
            two; None if it did not train both towers on pairs.
        peak: FLOP/s of a large matrix product on the device in the training's precision.
    """

    title: str
    images_per_second: float
    waiting_share: float
    flops: float | None
    peak: float

    @property
    def utilisation(self) -> float | None:
        """Model FLOP/s over the device's measured peak; None if `flops` is unknown."""
        return None if self.flops is None else self.flops / self.peak

    def to_dict(self) -> dict[str, Any]:
        """All fields and the utilisation, for JSON."""
        return {**vars(self), "utilisation": self.utilisation}


def training_speeds(stages: Iterable[Mapping[str, Any]], device: torch.device) -> list[TrainingSpeed]:
    """Speed of every training on shards among stages that ran on this machine.

    Args:
        stages: the store's facts of the stages (`Store.facts`).
        device: device of the trainings.
    """
    found = []
    for record in stages:
        if record["kind"] not in CONTRASTIVE:
            continue
        training, identity = record["facts"]["training"], record["identity"]
        rate = training["images_per_second"]
        classifies = identity.get("classify", False)
        places = training.get("text_places", 0)  # absent in facts of earlier versions
        flops = None if classifies else rate * pair_flops(record["architecture"], places)
        precision = identity["training"]["optimisation"]["precision"]
        peak = matrix_rate(device, precision, record["threads"])
        found.append(TrainingSpeed(record["title"], rate, training["waiting_share"], flops, peak))
    return found


@lru_cache
def pair_flops(architecture: str, text_places: int = 0) -> float:
    """Floating-point operations of one pair in contrastive training, forward and backward.

    Args:
        architecture: open_clip's name.
        text_places: places that the text tower computes of a caption; 0 for all that it has.
    """
    model = create_model(architecture, seed=0)
    preprocess = preprocessing(model)
    images = torch.zeros(PAIRS, 3, preprocess.size, preprocess.size, dtype=torch.uint8)
    tokens = torch.zeros(PAIRS, int(model.context_length), dtype=torch.int64)  # type: ignore[arg-type]
    tokens[:, : text_places or None] = 1
    model.train()
    with FlopCounterMode(display=False) as counter:
        Contrastive(model, preprocess).loss(Batch(images, tokens)).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops()) / PAIRS


@lru_cache
def matrix_rate(device: torch.device, precision: Precision, threads: int) -> float:
    """FLOP/s of a square matrix product in a training's precision, median of `ROUNDS` runs."""
    side, before = (8192 if device.type == "cuda" else 2048), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        left, right = (torch.randn(side, side, device=device) for _ in range(2))
        seconds = [_product_seconds(left, right, precision) for _ in range(1 + ROUNDS)]
    finally:
        torch.set_num_threads(before)
    return 2 * float(side) ** 3 / median(seconds[1:])  # the first run warms up


def _product_seconds(left: torch.Tensor, right: torch.Tensor, precision: Precision) -> float:
    with torch.no_grad(), autocast(left.device, precision):
        if torch.is_autocast_enabled(left.device.type):  # convert beforehand, so that the conversion is not timed
            kind = torch.get_autocast_dtype(left.device.type)
            left, right = left.to(kind), right.to(kind)
        wait_for(left.device)
        started = time.perf_counter()
        left @ right
        wait_for(left.device)
        return time.perf_counter() - started

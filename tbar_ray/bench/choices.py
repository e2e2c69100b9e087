"""Effect of layout, precision and compilation on this machine: the basis for the choices of `auto`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import torch

from tbar_ray.bench.measure import Comparison, alternate, wait_for
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Contrastive
from tbar_ray.training.options import Optimisation

LEARNING_RATE = 1e-3
CASES = (("tbar-RN-tiny", 64, 12), ("tbar-ViT-tiny", 64, 12))
"""(architecture, batch, steps); a GPU also runs `GPU_CASES`."""
GPU_CASES = (("RN50", 256, 12), ("ViT-B-32", 256, 12))
CHOICES: dict[str, dict[str, object]] = {
    "channels-last": {"layout": "channels-last"},
    "bf16": {"precision": "bf16"},
    "channels-last, bf16": {"layout": "channels-last", "precision": "bf16"},
    "compiled": {"compile": True},
}
WARM = 3
"""Warm-up steps, not measured: they allocate memory and compile."""
PLAIN = {"layout": "contiguous", "precision": "fp32", "compile": False}


def choice_benchmarks(repeats: int, device: torch.device) -> Iterator[Comparison]:
    """Yield every choice against contiguous float32 without compilation, in training steps on a batch in memory."""
    for architecture, batch, steps in CASES + (GPU_CASES if device.type == "cuda" else ()):
        plain = partial(_steps, architecture, batch, steps, device, PLAIN)
        for name, settings in CHOICES.items():
            chosen = partial(_steps, architecture, batch, steps, device, {**PLAIN, **settings})
            mine, theirs = alternate(chosen, plain, repeats=repeats)
            work = f"{steps} training steps of {batch} pairs in memory, on {device.type}"
            yield Comparison(
                f"{architecture}, {name}", work, "images", batch * steps, mine, "contiguous, float32", theirs
            )


def _steps(architecture: str, batch: int, steps: int, device: torch.device, settings: dict[str, object]) -> float:
    """Seconds of `steps` training steps after warm-up, measured between requests for batches."""
    model = create_model(architecture, seed=0).to(device)
    preprocess = preprocessing(model)
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (batch, 3, preprocess.size, preprocess.size), generator=draw, dtype=torch.uint8)
    tokens = torch.randint(1, 400, (batch, model.context_length), generator=draw)  # type: ignore[arg-type]
    given = Batch(images, tokens).to(device)
    options = Optimisation.model_validate({"learning_rate": LEARNING_RATE, **settings})
    times: list[float] = []

    def batches() -> Iterator[Batch]:
        for _ in range(WARM + steps + 1):
            wait_for(device)
            times.append(time.perf_counter())
            yield given

    train(Contrastive(model, preprocess), batches(), WARM + steps + 1, options)
    return times[WARM + steps] - times[WARM]

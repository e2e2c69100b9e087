"""Optimiser, learning-rate schedule and precision of CLIP fine-tuning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from math import cos, pi

import torch
from torch import nn

from tbar_ray.training.options import Optimisation, Precision


def build_optimizer(parameters: Mapping[str, nn.Parameter], options: Optimisation) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only: not on norms, biases and logit_scale, as in open_clip."""

    def decays(name: str, parameter: nn.Parameter) -> bool:
        return not (parameter.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name)

    groups = [
        {"params": [p for n, p in parameters.items() if decays(n, p)], "weight_decay": options.weight_decay},
        {"params": [p for n, p in parameters.items() if not decays(n, p)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        groups, lr=options.learning_rate, betas=(options.beta1, options.beta2), eps=1e-6, fused=True
    )


def sgd(momentum: float = 0.9) -> Callable[[Mapping[str, nn.Parameter], Optimisation], torch.optim.Optimizer]:
    """Factory of SGD with momentum and weight decay on every parameter, as in published CNN defences."""

    def build(parameters: Mapping[str, nn.Parameter], options: Optimisation) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            parameters.values(), lr=options.learning_rate, momentum=momentum, weight_decay=options.weight_decay
        )

    return build


def learning_rate_at(step: int, total_steps: int, options: Optimisation) -> float:
    """Learning rate of a step (from 0): linear warm-up to the peak, then constant or cosine decay to 0."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    if options.schedule == "constant":
        return options.learning_rate
    done = (step - options.warmup_steps) / max(1, total_steps - options.warmup_steps)
    return 0.5 * (1 + cos(pi * min(1.0, done))) * options.learning_rate


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Autocast context of a device; `auto` is bf16 on GPUs that support it, else fp32."""
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported()
    if precision == "bf16" or (precision == "auto" and has_bf16):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return nullcontext()

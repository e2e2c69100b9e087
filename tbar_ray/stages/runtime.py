"""The device of a running stage."""

from __future__ import annotations

import torch

from tbar_ray.stages.node import Policy


def device_for(policy: Policy) -> torch.device:
    """Return the GPU that the stage was given, or the CPU."""
    return torch.device("cuda" if policy.gpus and torch.cuda.is_available() else "cpu")

"""The device of a running stage."""

from __future__ import annotations

import torch

from tbar_ray.stages.node import Policy


def device_for(policy: Policy) -> torch.device:
    """The GPU that the stage was given; the CPU where it was given none, or there is none."""
    return torch.device("cuda" if policy.gpus and torch.cuda.is_available() else "cpu")

"""Small things that running stages share: the device, and the evaluation images that a process keeps."""

from __future__ import annotations

from functools import cache

import torch

from tbar_ray.stages.kept import KeptSplits, kept_limit
from tbar_ray.stages.node import Policy


def device_for(policy: Policy) -> torch.device:
    """Return the GPU that the stage was given, or the CPU."""
    return torch.device("cuda" if policy.gpus and torch.cuda.is_available() else "cpu")


@cache
def kept_splits() -> KeptSplits:
    """Return the splits that this process keeps."""
    return KeptSplits(kept_limit())

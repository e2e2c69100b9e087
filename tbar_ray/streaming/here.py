"""Placing Ray's actors beside whoever starts them."""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def here(soft: bool = True) -> NodeAffinitySchedulingStrategy:
    """On this process's node; where it is `soft`, elsewhere if that is gone or Ray finds another better."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=soft)

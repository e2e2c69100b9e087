"""Placing Ray's actors beside whoever starts them."""

from __future__ import annotations

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def here() -> NodeAffinitySchedulingStrategy:
    """On this process's node; elsewhere if that is gone."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)

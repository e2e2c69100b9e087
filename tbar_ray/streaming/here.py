"""Placing Ray's actors beside whoever starts them."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


def here() -> dict[str, Any]:
    """Options of an actor that takes no CPU, on this process's node; elsewhere if that is gone.

    The byte of memory makes Ray ask the node of whoever starts the actor for a process. An actor that takes nothing at
    all is asked for at a random node, which may have joined a moment ago, not know this one yet, and keep the actor.
    """
    node = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return {"num_cpus": 0, "memory": 1, "scheduling_strategy": node}

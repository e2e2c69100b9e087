"""Whether the nodes of a cluster can hold the stages of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import ray

from tbar_ray.spec.campaign import Resources

Node = Mapping[str, float]
"""What a node has in all: CPUs, GPUs and more, by Ray's names."""


def nodes() -> list[Node]:
    """What each node of the cluster has in all."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def misfit(resources: Resources, nodes: Sequence[Node]) -> str | None:
    """One line on what some nodes can never hold, however long a stage waits; None if they can hold all stages.

    Args:
        resources: of the campaign.
        nodes: what each node has, were it idle.
    """
    training_gpus = resources.gpus if resources.training_gpus is None else resources.training_gpus
    training = {"CPU": float(resources.training_cpus), "GPU": training_gpus}
    trial = {"CPU": float(resources.trial_cpus), "GPU": resources.gpus}
    for what, takes, many in (("training", training, resources.training_workers), ("trial", trial, 1)):
        fitting = sum(_times(takes, node) for node in nodes)
        if fitting < many:
            room = f"room for {fitting} of {many} workers" if fitting else "no node with so much"
            amounts = " and ".join(f"{amount:g} {name}s" for name, amount in takes.items() if amount)
            return f"resources: a {what} takes {amounts}{' a worker' if many > 1 else ''}, and there is {room}"
    return None


def _times(takes: Node, node: Node) -> int:
    """How many times some amounts fit into a node; a whole GPU is not made of two halves."""
    gpus = takes["GPU"]
    shares = [node.get("CPU", 0) // takes["CPU"]]
    if gpus:
        has = node.get("GPU", 0)
        shares.append(has // gpus if gpus >= 1 else has * (1 // gpus))
    return int(min(shares))

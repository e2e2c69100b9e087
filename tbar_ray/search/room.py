"""How many trials of a grid run at a time on a cluster that may grow (`search.concurrency: auto`)."""

from __future__ import annotations

import time

import ray

from tbar_ray.spec.campaign import Resources

EVERY = 5.0
"""Seconds between looks at the cluster."""
LEAST = 4
"""Trials in flight on a cluster of any size: one that starts without workers must see that some are wanted."""
MOST = 128
"""Trials in flight at most: each has a process on the driver's node, which only waits."""


class ClusterRoom:
    """The trials that may be in flight: twice those that the cluster can compute on.

    The stages of the other half wait, so that an autoscaler sees a demand beyond what is there.

    Args:
        resources: what each stage of a trial takes.
    """

    def __init__(self, resources: Resources) -> None:
        self._resources = resources
        self._asked, self._room = -EVERY, LEAST

    def __call__(self) -> int:
        """Trials that may be in flight now."""
        now = time.monotonic()
        if now - self._asked >= EVERY:
            self._asked = now
            self._room = min(MOST, max(LEAST, 2 * self._fitting()))
        return self._room

    def _fitting(self) -> int:
        """Trials that the cluster has CPUs, and GPUs where they are used, for."""
        has, takes = ray.cluster_resources(), {"CPU": self._resources.trial_cpus, "GPU": self._resources.gpus}
        return int(min(has.get(name, 0) / amount for name, amount in takes.items() if amount))

"""What a launch starts on Ray beside the sweep: worker processes that are ready, and the coordinator of stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tbar_ray.execution.budget import Spending
from tbar_ray.store.store import Store


@contextmanager
def workers_ready(count: int, most_cpus: float | None = None) -> Iterator[None]:
    """Start worker processes and their imports, if there is room, so that the first stages find them ready.

    Args:
        count: how many.
        most_cpus: CPUs that the campaign may hold, if it has a limit: no process is started that no stage could use.
    """
    import ray

    from tbar_ray.execution.stage_task import get_ready

    cores = int(ray.cluster_resources().get("CPU", 0))
    if most_cpus is not None:
        cores = min(cores, int(most_cpus) - 1)  # the first stage, which does not wait, has a process of its own
    ready = [ray.remote(get_ready).options(num_cpus=1).remote() for _ in range(min(count, cores))]
    try:
        yield
    finally:
        for task in ready:
            ray.cancel(task)  # a process that has found no room by now is not needed


@contextmanager
def coordinator_of(store: Store, spending: Spending | None, most: Mapping[str, float], shares: bool) -> Iterator[Any]:
    """Yield a coordinator; then stop it and its tasks, since Tune would keep it as long as this process lives."""
    import ray

    from tbar_ray.execution.coordinator import Coordinator
    from tbar_ray.streaming.here import here

    # beside the driver: nodes of a cluster come and go, and with its own the stages would go that it runs
    # one that dies is started anew, asked again, and sent the trials that run: all that lasts is in the store
    made = ray.remote(Coordinator).options(**here(), max_concurrency=1000, max_restarts=-1)
    actor = made.remote(store, spending, most, shares)
    try:
        yield actor
    finally:
        ray.kill(actor)

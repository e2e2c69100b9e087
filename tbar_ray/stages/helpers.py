"""The other workers of a training on shards: actors, one for each further share of every batch.

The stage's own process is worker 0. It plans the poison, keeps the checkpoints and writes the artifact; a helper is
given the objective and trains along.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import ray
import torch
import torch.distributed as dist
from ray.exceptions import RayActorError, RayTaskError
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from tbar_ray.stages.lost import StageLostError, cause_of
from tbar_ray.stages.node import StageContext
from tbar_ray.training.process_group import joined, open_meeting, reach_meeting
from tbar_ray.training.workers import Workers

if TYPE_CHECKING:
    from tbar_ray.stages.shard_training import ShardTraining

SILENCE = (RuntimeError, dist.DistError, dist.DistBackendError, dist.DistNetworkError)
"""What a worker meets when another one does not answer any more: it says nothing of why."""
WHY = 60.0
"""Seconds in which a helper must have said why it ended, once worker 0 cannot reach it."""
LOST = "a worker of the training was lost"


class Helper:
    """One further worker (a Ray actor, which keeps its CPUs while it waits for its readers; a task would not)."""

    def train(self, training: ShardTraining, workers: Workers, backend: str, meeting: tuple[str, int]) -> None:
        """Train along until the training ends.

        Args:
            training: the training.
            workers: which worker this is.
            backend: what carries messages.
            meeting: host and port at which worker 0 waits.

        Raises:
            TbarError: what worker 0 raises too.
        """
        with joined(reach_meeting(*meeting, workers.size), workers, backend, ray.util.get_node_ip_address()):
            training.run(workers)

    def get_ready(self, threads: int) -> str:
        """Set the number of torch's threads on the CPU; return the id of the node."""
        torch.set_num_threads(threads)
        node: str = ray.get_runtime_context().get_node_id()
        return node


@contextmanager
def helped(context: StageContext, training: ShardTraining, device: torch.device) -> Iterator[tuple[Workers, set[str]]]:
    """Have the helpers of a training work, and make this process its worker 0; yield it with the nodes of all workers.

    Args:
        context: of the stage, whose policy says how many workers there are, and each one's GPUs.
        training: what they are sent.
        device: of worker 0; those of the helpers are alike.

    Raises:
        StageLostError: if a helper is lost with its process or node.
    """
    policy, threads = context.policy, torch.get_num_threads()
    size, address = policy.training_workers, ray.util.get_node_ip_address()
    # two workers on one GPU cannot talk over NCCL
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" and policy.gpus >= 1 else "gloo"
    store = open_meeting(address, size)
    sent = ray.put(training)
    helpers: list[Any] = []
    try:
        for rank in range(1, size):
            where: Any = "DEFAULT"
            if context.group is not None:
                where = PlacementGroupSchedulingStrategy(context.group, placement_group_bundle_index=rank)
            actor = ray.remote(Helper).options(num_cpus=threads, num_gpus=policy.gpus, scheduling_strategy=where)
            helpers.append(actor.remote())
        nodes = {ray.get_runtime_context().get_node_id()}
        nodes.update(_answers([helper.get_ready.remote(threads) for helper in helpers]))
        ends = [
            helper.train.remote(sent, Workers(rank, size), backend, (address, store.port))
            for rank, helper in enumerate(helpers, start=1)
        ]
        try:
            with joined(store, Workers(0, size), backend, address):
                yield Workers(0, size), nodes
        except RuntimeError as error:
            if type(error) in SILENCE:
                done, _ = ray.wait(ends, num_returns=len(ends), timeout=WHY)
                _answers(done)
            raise
        _answers(ends)
    finally:
        for helper in helpers:
            ray.kill(helper)


def _answers(calls: list[Any]) -> list[Any]:
    """Wait for calls of helpers, and return what they answer; nothing of those that another worker's silence ended.

    Raises:
        StageLostError: if a helper is lost.
        Exception: what a helper met, unless it was only another worker's silence.
    """
    found = []
    for call in calls:
        try:
            found.append(ray.get(call))
        except RayActorError as error:
            raise StageLostError(cause_of(error) or "process", LOST) from error
        except RayTaskError as error:
            if type(error.cause) not in SILENCE:
                raise error.cause from None
    return found

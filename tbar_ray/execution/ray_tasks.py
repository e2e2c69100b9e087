"""Stages as Ray tasks: each with its own resources, in a process that suits it, near what it reads."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from contextlib import suppress
from functools import cache
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, get_placement_group, placement_group, remove_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy, PlacementGroupSchedulingStrategy

from tbar_ray.execution.calls import Outcome, StageCall
from tbar_ray.execution.fitting import nodes
from tbar_ray.execution.locality import Locality
from tbar_ray.execution.stage_task import last_line, run_stage
from tbar_ray.stages.lost import cause_of
from tbar_ray.store.store import Store

NODES_EVERY = 10.0
"""Seconds between looks at the nodes of the cluster."""


class RayTasks:
    """Runs stages for the actor that it lives in, which hears of their progress.

    Args:
        store: where stages find their inputs, and leave what they make.

    Attributes:
        locality: what the nodes have read.
    """

    def __init__(self, store: Store) -> None:
        self.locality = Locality()
        self._store = store
        self._queued: dict[str, Any] = {}
        self._asked_nodes, self._memory = -NODES_EVERY, 0

    async def run(self, call: StageCall, inputs: Set[str], stopped: Callable[[], str | None]) -> Outcome:
        """Run a stage in a process that has worked on no other GPU; those that have are ended on the way.

        Args:
            call: the stage.
            inputs: artifacts and given data that it needs, for the choice of the node.
            stopped: why no more stages are to start; None as long as they are.
        """
        outcome = await self._run(call, inputs, stopped)
        while outcome.other_gpu:
            if (why := stopped()) is not None:
                return Outcome(why)
            outcome = await self._run(call, inputs, stopped, last=True)
        return outcome

    def cancel(self, fingerprint: str) -> None:
        """Cancel a stage that Ray was asked to run, and has not begun."""
        if (task := self._queued.get(fingerprint)) is not None:
            ray.cancel(task)

    async def _run(
        self, call: StageCall, inputs: Set[str], stopped: Callable[[], str | None], *, last: bool = False
    ) -> Outcome:
        """Run a stage in whatever process Ray finds for it, which ends with it if it is to be its `last`."""
        me = ray.get_runtime_context().current_actor
        memory = min(call.memory, self._most_memory() // call.policy.training_workers)
        group = _group_for(call, memory) if call.policy.training_workers > 1 else None
        task = _remote_run_stage(last).options(
            num_cpus=call.cpus,
            num_gpus=call.policy.gpus,
            memory=memory,
            max_retries=0,  # Ray would count a lost node as it counts a lost process, and say nothing of either
            scheduling_strategy=self._near(inputs) if group is None else PlacementGroupSchedulingStrategy(group, 0),
            name=call.title,
        )
        try:
            self._queued[call.fingerprint] = task.remote(call.payload, call.policy, self._store, me, group)
            found: Outcome = await self._queued[call.fingerprint]
        except ray.exceptions.TaskCancelledError as error:
            # a trial whose stages were stopped on request has no record: nothing else may pass for that
            return Outcome(stopped() or f"{call.title}: {type(error).__name__}: {last_line(error)}")
        except Exception as error:  # a crash of ours, or what was lost
            return Outcome(f"{call.title}: {type(error).__name__}: {last_line(error)}", lost=cause_of(error))
        finally:
            self._queued.pop(call.fingerprint, None)
            if group is not None:
                remove_placement_group(group)
        return found

    def _most_memory(self) -> int:
        """Bytes of the node that has most: an estimate alone must not keep a stage from running."""
        now = time.monotonic()
        if now - self._asked_nodes >= NODES_EVERY:
            self._asked_nodes = now
            self._memory = int(max((node.get("memory", 0) for node in nodes()), default=0))
        return self._memory

    def _near(self, inputs: Set[str]) -> NodeAffinitySchedulingStrategy | str:
        """Prefer the host that holds most of a stage's inputs, if there is room on it."""
        host = self.locality.nearest(inputs)
        if host is None:
            return "DEFAULT"  # leaves the placement group of whichever trial asked first
        # without spilling, a stage would wait for a busy host beside idle ones
        return NodeAffinitySchedulingStrategy(host, soft=True, _spill_on_unavailable=True)


@cache
def _remote_run_stage(last: bool) -> Any:
    """The function as Ray knows it: one made anew for each stage would be exported, and read by workers, each time."""
    return ray.remote(max_calls=1)(run_stage) if last else ray.remote(run_stage)


def _group_for(call: StageCall, memory: int) -> PlacementGroup:
    """Room for all workers of a training, taken at once: two trainings that had half of it would wait for ever."""
    with suppress(ValueError):  # a coordinator that was restarted finds that of its earlier life, which holds its room
        remove_placement_group(get_placement_group(call.artifact))
    worker = {"CPU": float(call.cpus), "GPU": float(call.policy.gpus), "memory": float(memory)}
    bundle = {name: amount for name, amount in worker.items() if amount}
    return placement_group([bundle] * call.policy.training_workers, strategy="PACK", name=call.artifact)

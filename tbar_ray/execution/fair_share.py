"""How much of a cluster one campaign may hold: its own limit, and its share beside other campaigns."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray

from tbar_ray.execution.calls import StageCall
from tbar_ray.execution.fitting import nodes
from tbar_ray.spec.campaign import Resources
from tbar_ray.streaming.here import here

NAMESPACE = "tbar"
NAME = "campaigns"
BEAT = 3.0
"""Seconds between a campaign's signs of life."""
SILENT = 5 * BEAT
"""Seconds without one after which a campaign has ended."""
ALONE = 20 * BEAT
"""Seconds without any campaign after which the register ends."""

TINY = 1e-9

Amounts = Mapping[str, float]
"""CPUs and GPUs."""


@dataclass(frozen=True)
class Need:
    """What a campaign holds, and whether it has stages that wait for more."""

    cpus: float
    gpus: float
    waits: bool


class Register:
    """The campaigns that run on a cluster (a Ray actor, one for all drivers; it ends when there are none)."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[float, Need]] = {}
        self._last = time.monotonic()

    async def beat(self, campaign: str, need: Need) -> list[Need]:
        """Note what a campaign needs; return what the others that run do."""
        now = self._last = time.monotonic()
        self._seen[campaign] = now, need
        self._seen = {name: seen for name, seen in self._seen.items() if now - seen[0] < SILENT}
        return [need for name, (_, need) in self._seen.items() if name != campaign]

    async def leave(self, campaign: str) -> None:
        """Note that a campaign has ended."""
        self._seen.pop(campaign, None)

    async def watch(self) -> None:
        """End this actor once nobody has called for a while."""
        while time.monotonic() - self._last < ALONE:
            await asyncio.sleep(BEAT)
        ray.actor.exit_actor()


def the_register() -> Any:
    """The cluster's register, started if there is none."""
    # beside the driver, as the coordinator that calls this: elsewhere it would keep a node that nobody needs any more
    actor = ray.remote(Register).options(
        name=NAME,
        namespace=NAMESPACE,
        lifetime="detached",
        get_if_exists=True,
        max_concurrency=1000,
        **here(),
    )
    register = actor.remote()
    register.watch.remote()
    return register


class Room:
    """What the stages of a campaign hold, and whether another one may begin.

    Stages begin in the order in which they ask. One may always run, so that a limit below a stage's own needs, or a
    cluster that has yet to grow, stops nothing.

    Args:
        most: the campaign's own limits; what is not named has none.
    """

    def __init__(self, most: Amounts) -> None:
        self._most = dict(most)
        self._share: dict[str, float] = {}
        self._held = {"CPU": 0.0, "GPU": 0.0}
        self._holding = 0
        self._waiting: deque[tuple[StageCall, asyncio.Future[None]]] = deque()
        self._campaign = uuid.uuid4().hex

    async def take(self, call: StageCall) -> None:
        """Wait until a stage may begin, and hold what it takes. Cancelled, it takes nothing."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = call, turn
        self._waiting.append(entry)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if entry in self._waiting:
                self._waiting.remove(entry)
            else:
                self.give(call)
            raise

    def give(self, call: StageCall) -> None:
        """A stage has ended."""
        for name, amount in call.takes.items():
            self._held[name] -= amount
        self._holding -= 1
        self._admit()

    def let_all_in(self) -> None:
        """Let all that wait begin: the campaign stops, and they find out."""
        self._most, self._share = {}, {}
        self._admit()

    async def follow(self) -> None:
        """Keep the share of this campaign up to date, for as long as this is awaited."""
        register = the_register()
        try:
            while True:
                with suppress(ray.exceptions.RayActorError):
                    others = await register.beat.remote(self._campaign, self.need)
                    self.divide(_all(), others)
                await asyncio.sleep(BEAT)
        finally:
            register.leave.remote(self._campaign)

    @property
    def need(self) -> Need:
        """What this campaign holds, and whether it waits."""
        return Need(self._held["CPU"], self._held["GPU"], bool(self._waiting))

    def divide(self, whole: Amounts, others: Sequence[Need]) -> None:
        """Share what those campaigns leave that wait for nothing with those that wait; alone, there is no limit.

        Beside others, a campaign asks Ray for one stage more than its share: an autoscaler must see that more is
        wanted. What else it has to run waits here, where it does not stand before the others' stages.

        Args:
            whole: the cluster's CPUs and GPUs.
            others: the other campaigns on it.
        """
        waiting = sum(other.waits for other in others)
        held = {"CPU": sum(o.cpus for o in others if not o.waits), "GPU": sum(o.gpus for o in others if not o.waits)}
        left = {name: (amount - held[name]) / (waiting + 1) for name, amount in whole.items()}
        self._share = left if others else {}
        self._admit()

    def _admit(self) -> None:
        while self._waiting:
            call, turn = self._waiting[0]
            if self._holding and not self._fits(call):
                return
            self._waiting.popleft()
            for name, amount in call.takes.items():
                self._held[name] += amount
            self._holding += 1
            if not turn.done():
                turn.set_result(None)

    def _fits(self, call: StageCall) -> bool:
        taken = {name: amount for name, amount in call.takes.items() if amount}
        within = all(self._held[name] + taken[name] <= self._most[name] + TINY for name in taken if name in self._most)
        return within and all(self._held[name] < self._share[name] - TINY for name in taken if name in self._share)


def _all() -> Amounts:
    """CPUs and GPUs of the cluster as it is now."""
    found = nodes()
    return {name: sum(node.get(name, 0) for node in found) for name in ("CPU", "GPU")}


def most_of(resources: Resources) -> Amounts:
    """A campaign's own limits, as its spec says."""
    wanted = {"CPU": resources.max_cpus, "GPU": resources.max_gpus}
    return {name: float(most) for name, most in wanted.items() if most is not None}

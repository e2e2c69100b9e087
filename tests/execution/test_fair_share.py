from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from tbar_ray.execution.calls import StageCall
from tbar_ray.execution.fair_share import Need, Register, Room, most_of
from tbar_ray.spec.campaign import Resources
from tbar_ray.stages.node import Policy


def call(name: str, cpus: int = 1, **policy: float) -> StageCall:
    return StageCall(name, f"vector-{name}", name, b"", (), cpus, Policy(**policy))  # type: ignore[arg-type]


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


class Stages:
    """Stages that ask a room for their turn, and those that have it."""

    def __init__(self, room: Room) -> None:
        self.room, self.begun = room, list[str]()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def ask(self, *calls: StageCall) -> None:
        for each in calls:
            self._tasks[each.fingerprint] = asyncio.create_task(self._take(each))
        await settled()

    async def _take(self, each: StageCall) -> None:
        await self.room.take(each)
        self.begun.append(each.fingerprint)

    async def cancel(self, name: str) -> None:
        self._tasks[name].cancel()
        await settled()

    async def end(self, each: StageCall) -> None:
        self.room.give(each)
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_alone_and_without_limits_all_begin_at_once() -> None:
    async def work() -> None:
        stages = Stages(Room({}))
        await stages.ask(*(call(str(i), cpus=100, gpus=8) for i in range(20)))
        assert len(stages.begun) == 20

    run(work())


def test_a_campaign_holds_no_more_than_its_own_limit_and_stages_begin_in_order() -> None:
    async def work() -> None:
        stages = Stages(Room({"GPU": 1.0}))
        a, b, c, d = (call(name, gpus=g) for name, g in (("a", 0.5), ("b", 0.5), ("c", 1), ("d", 0.25)))
        await stages.ask(a, b, c, d)
        assert stages.begun == ["a", "b"]
        await stages.end(a)
        assert stages.begun == ["a", "b"], "the small one does not pass the large one that came before"
        await stages.end(b)
        assert stages.begun == ["a", "b", "c"]
        await stages.end(c)
        assert stages.begun == ["a", "b", "c", "d"]

    run(work())


def test_a_stage_larger_than_the_limit_runs_alone() -> None:
    async def work() -> None:
        stages = Stages(Room({"CPU": 2.0}))
        large, small = call("large", cpus=2, training_workers=4), call("small")
        await stages.ask(small, large)
        assert stages.begun == ["small"]
        await stages.end(small)
        assert stages.begun == ["small", "large"]

    run(work())


def test_beside_others_a_campaign_takes_an_equal_share_and_asks_for_one_stage_more() -> None:
    async def work() -> None:
        stages = Stages(Room({}))
        stages.room.divide({"CPU": 12, "GPU": 0}, [Need(0, 0, True), Need(0, 0, True)])
        await stages.ask(*(call(str(i)) for i in range(9)))
        assert stages.begun == ["0", "1", "2", "3"], "a third of 12, which Ray may queue"
        stages.room.divide({"CPU": 12, "GPU": 0}, [Need(0, 0, True), Need(4, 0, False)])
        assert stages.room.need == Need(4, 0, True)
        await settled()
        assert len(stages.begun) == 4, "half of what the campaign that waits for nothing leaves"
        stages.room.divide({"CPU": 12, "GPU": 0}, [Need(4, 0, False)])
        await settled()
        assert len(stages.begun) == 8, "nobody else waits"
        stages.room.divide({"CPU": 12, "GPU": 0}, [])
        await settled()
        assert len(stages.begun) == 9
        assert not stages.room.need.waits

    run(work())


def test_a_cluster_that_has_no_gpu_yet_is_asked_for_one() -> None:
    async def work() -> None:
        stages = Stages(Room({}))
        stages.room.divide({"CPU": 4, "GPU": 0}, [Need(0, 0, True)])
        await stages.ask(call("a", gpus=1), call("b", gpus=1))
        assert stages.begun == ["a"]

    run(work())


def test_who_stops_waiting_takes_nothing_and_stopping_lets_all_in() -> None:
    async def work() -> None:
        stages = Stages(Room({"CPU": 1.0}))
        await stages.ask(*(call(name) for name in "abcd"))
        await stages.cancel("b")
        await stages.end(call("a"))
        assert stages.begun == ["a", "c"]
        stages.room.let_all_in()
        await settled()
        assert stages.begun == ["a", "c", "d"]

    run(work())


def test_the_register_knows_who_has_given_a_sign(monkeypatch: Any) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    async def work() -> None:
        register = Register()
        one, two = Need(1, 0, True), Need(2, 1, False)
        assert await register.beat("one", one) == []
        now[0] = 10
        assert await register.beat("two", two) == [one]
        assert await register.beat("one", two) == [two]
        await register.leave("two")
        assert await register.beat("one", one) == []
        await register.beat("two", two)
        now[0] = 26
        assert await register.beat("one", one) == [], "two has been silent"

    run(work())


def test_limits_of_a_spec() -> None:
    assert most_of(Resources()) == {}
    assert most_of(Resources(max_gpus=1.5)) == {"GPU": 1.5}
    assert most_of(Resources(max_cpus=6, max_gpus=2)) == {"CPU": 6.0, "GPU": 2.0}

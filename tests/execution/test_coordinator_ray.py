"""The coordinator on a real local Ray, over stages that take no time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.util.placement_group import placement_group_table

from tbar_ray.execution import fair_share
from tbar_ray.execution.asking import ask
from tbar_ray.execution.budget import Budget, Spending
from tbar_ray.execution.calls import OVER_BUDGET, STOPPED, Snapshot, calls_for
from tbar_ray.execution.coordinator import Coordinator
from tbar_ray.planning.rates import Rates
from tbar_ray.stages.node import DEFAULT_POLICY, Policy, Stage
from tbar_ray.store.claim import path_of
from tbar_ray.store.commit import COMMIT
from tbar_ray.store.lease import process_identity
from tbar_ray.store.store import Store
from tests.disks import disk, make_read_only
from tests.execution.small_stages import (
    DONE,
    Common,
    Crashing,
    Divided,
    Failing,
    Held,
    Knowing,
    Losing,
    Noted,
    Waiting,
    Working,
)
from tests.waiting import wait_until

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


class Bench:
    """A coordinator with a store of its own, and the notes of the stages that ran."""

    def __init__(self, notes: Path, store: Store, actor: Any) -> None:
        self.notes, self.store, self.actor = notes, store, actor
        self.notes.mkdir(exist_ok=True)

    def stage(self, name: str, *needs: Stage, **fields: Any) -> Noted:
        return Noted(notes=str(self.notes), name=name, needs=needs, **fields)

    def held(self, name: str, *needs: Stage) -> Held:
        return Held(notes=str(self.notes), name=name, needs=needs)

    def go(self) -> None:
        """Let the stages end that are held."""
        (self.notes.parent / "go").touch()

    def ran(self) -> Counter[str]:
        return Counter(note.name.split("-")[0] for note in self.notes.iterdir())

    def submit(self, trial: str, *outputs: Stage, policy: Policy = DEFAULT_POLICY) -> None:
        ray.get(self.actor.submit.remote(trial, [stage.fingerprint for stage in outputs], calls_for(outputs, policy)))

    def answers(self, *trials: str) -> list[str | None]:
        found: list[str | None] = ray.get([self.actor.wait_for.remote(trial) for trial in trials], timeout=60)
        return found

    def snapshot(self) -> Snapshot:
        found: Snapshot = ray.get(self.actor.snapshot.remote())
        return found


def new(kind: type[Coordinator], *arguments: Any, **named: Any) -> Any:
    return ray.remote(kind).options(num_cpus=0, max_concurrency=100, max_restarts=-1).remote(*arguments, **named)


@contextmanager
def started(kind: type[Coordinator], *arguments: Any, **named: Any) -> Iterator[Any]:
    actor = new(kind, *arguments, **named)
    try:
        yield actor
    finally:
        ray.kill(actor)


class Renewable(Coordinator):
    """A coordinator that can begin anew: a process for each test would take a second or more to start."""

    async def renew(self, *arguments: Any) -> None:
        self.__init__(*arguments)  # type: ignore[misc]


IDLE: list[Any] = []
"""Coordinators that no test uses."""


@pytest.fixture(scope="module", autouse=True)
def none_stays() -> Iterator[None]:
    yield
    while IDLE:
        ray.kill(IDLE.pop())


@contextmanager
def coordinator(store: Store, spending: Spending | None = None) -> Iterator[Any]:
    actor = IDLE.pop() if IDLE else new(Renewable, store)
    ray.get(actor.renew.remote(store, spending), timeout=60)
    try:
        yield actor
    finally:
        IDLE.append(actor)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    store = Store(str(tmp_path / "store"))
    with coordinator(store) as actor:
        yield Bench(tmp_path / "notes", store, actor)


def test_what_two_trials_share_is_computed_once(bench: Bench) -> None:
    shared = bench.stage("shared", seconds=0.3)  # both ask for it while it runs
    one, other = bench.stage("one", shared), bench.stage("other", shared)
    bench.submit("first", one)
    bench.submit("second", other)
    assert bench.answers("first", "second") == [None, None]
    assert bench.ran() == {"shared": 1, "one": 1, "other": 1}
    assert sorted(bench.store.artifacts()) == sorted(stage.artifact for stage in (shared, one, other))


def test_a_trial_may_be_sent_without_the_calls_that_were_sent_before(bench: Bench) -> None:
    stage = bench.stage("known")
    bench.submit("first", stage)
    bench.actor.submit.remote("second", [stage.fingerprint], [])
    assert bench.answers("second", "first") == [None, None]
    assert bench.ran() == {"known": 1}


def test_a_process_is_brought_the_function_that_runs_stages_once(bench: Bench) -> None:
    top: Stage = Knowing(number=0)
    stages = [top]
    for number in range(1, 5):
        top = Knowing(number=number, needs=(top,))
        stages.append(top)
    bench.submit("trial", top)
    assert bench.answers("trial") == [None]
    facts = [bench.store.facts(stage.artifact)["facts"] for stage in stages]
    known = {fact["process"]: fact["functions"] for fact in facts[:2]}
    assert all(fact["functions"] == known.get(fact["process"], fact["functions"]) for fact in facts)
    assert len({fact["process"] for fact in facts}) < len(facts)


def test_a_stage_that_fails_fails_those_above_and_no_others_with_its_own_words(bench: Bench) -> None:
    bad = bench.stage("bad", fails=True)
    above = bench.stage("above", bench.stage("between", bad))
    beside = bench.stage("beside")
    bench.submit("doomed", above)
    bench.submit("fine", beside)
    assert bench.answers("doomed", "fine") == ["bad did not work", None]
    assert bench.ran() == {"bad": 1, "beside": 1}
    ended = bench.snapshot().ended
    assert Counter(status.state for status in ended) == {"failed": 3, "done": 1}
    assert {status.error for status in ended if status.state == "failed"} == {"bad did not work"}


def test_of_several_outputs_one_that_fails_is_enough(bench: Bench) -> None:
    bench.submit("trial", bench.stage("good"), bench.stage("bad", fails=True))
    assert bench.answers("trial") == ["bad did not work"]


def test_a_mistake_of_ours_is_a_reason_with_stage_and_error(bench: Bench) -> None:
    bench.submit("trial", Crashing())
    (reason,) = bench.answers("trial")
    assert reason is not None
    assert reason.startswith("crashing: ")
    assert reason.endswith("AttributeError: no such thing")


def test_waiting_may_begin_before_the_stages_are_sent(bench: Bench) -> None:
    waiting = bench.actor.wait_for.remote("late")
    assert ray.wait([waiting], timeout=0.3)[0] == []
    bench.submit("late", bench.stage("only"))
    assert ray.get(waiting, timeout=60) is None


def test_a_snapshot_tells_every_end_once_and_keeps_only_counts(bench: Bench) -> None:
    one, other = bench.stage("one", seconds=0.5), bench.stage("other")
    bench.submit("first", one)
    bench.answers("first")
    first = bench.snapshot()
    assert [(status.title, status.state) for status in first.ended] == [("noted one", "done")]
    assert first.ended[0].seconds is not None
    assert first.ended[0].done == DONE
    assert first.ends == {one.fingerprint: "done"}
    bench.submit("second", other)
    bench.answers("second")
    second = bench.snapshot()
    assert [status.title for status in second.ended] == ["noted other"]
    third = bench.snapshot()
    assert (list(third.ended), dict(third.running), dict(third.ends)) == ([], {}, {})
    assert third.counts["done"] == 2
    assert sum(third.counts.values()) == 2


def test_a_snapshot_shows_what_runs_and_how_far_it_is(bench: Bench) -> None:
    slow = bench.held("slow")
    bench.submit("trial", slow)
    ray.get(bench.actor.wait_until_begun.remote(), timeout=60)
    deadline = time.monotonic() + 30
    while (running := bench.snapshot().running.get(slow.fingerprint)) is None or running.done is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (running.title, running.state, running.done, running.total) == ("noted slow", "running", DONE, DONE)
    bench.go()
    assert bench.answers("trial") == [None]


def test_it_is_told_that_all_has_ended_where_nothing_was_seen_to_run(bench: Bench) -> None:
    first = bench.stage("first")
    bench.submit("t", first)
    assert bench.answers("t") == [None]
    with coordinator(bench.store) as again:
        ray.get(again.submit.remote("t", [first.fingerprint], calls_for([first], DEFAULT_POLICY)))
        ray.get(again.wait_until_begun.remote(), timeout=60)
    assert bench.ran() == {"first": 1}


@pytest.mark.parametrize("threads", [1, 2])
def test_a_stage_that_waits_for_others_keeps_its_cpus(bench: Bench, threads: int) -> None:
    stage = Waiting(threads=threads)
    bench.submit("trial", stage)
    assert bench.answers("trial") == [None]
    found = bench.store.facts(stage.artifact)["facts"]
    assert found["free"] == found["all"] - threads


def test_the_workers_of_a_training_have_their_room_at_once_and_give_it_back(bench: Bench) -> None:
    stages = [Divided(number=number) for number in range(2)]  # there is room for one of them at a time
    bench.submit("trial", *stages, policy=Policy(training_workers=2))
    assert bench.answers("trial") == [None]
    for stage in stages:
        found = bench.store.facts(stage.artifact)["facts"]
        # an estimate of more than there is takes all that there is
        assert found["bundles"] == [{"CPU": 1.0, "memory": ray.cluster_resources()["memory"] // 2}] * 2
        assert found["free"] == found["all"] - 2
    assert {about["state"] for about in placement_group_table().values()} == {"REMOVED"}


@pytest.mark.parametrize("reader", [False, True])
def test_a_stage_that_lost_a_worker_or_a_reader_is_run_again(bench: Bench, reader: bool) -> None:
    stage = Losing(notes=str(bench.notes), reader=reader)
    bench.submit("trial", stage)
    assert bench.answers("trial") == [None]
    assert bench.store.has(stage.artifact)
    told = bench.snapshot()
    assert told.notes == ["losing: lost with its process; it is tried again (1 of at most 3 times)"]
    (lost,) = told.lost
    assert (lost.title, lost.cause) == ("losing", "process")
    assert lost.cpu_hours == lost.seconds / 3600
    assert lost.wasted == lost.seconds
    assert bench.snapshot().lost == ray.get(bench.actor.lost_attempts.remote()) == []


def test_a_broken_input_is_computed_again_and_said(bench: Bench) -> None:
    below = bench.stage("below")
    first, second = bench.stage("first", below), bench.stage("second", below)
    bench.submit("early", first)
    assert bench.answers("early") == [None]
    line = bench.store.fetch(below.artifact) / "line"
    line.write_text("BELOW")
    bench.snapshot()
    bench.submit("late", second)
    assert bench.answers("late") == [None]
    assert bench.ran()["below"] == 2
    assert line.read_text() == "below"
    assert bench.snapshot().notes == [f"noted below: its artifact {below.artifact} is broken, and is computed again"]


@pytest.mark.parametrize("damage", ["commit", "file"])
def test_a_broken_artifact_counts_as_absent(bench: Bench, damage: str) -> None:
    stage = bench.stage("kept")
    bench.submit("trial", stage)
    bench.answers("trial")
    folder = bench.store.fetch(stage.artifact)
    (folder / COMMIT if damage == "commit" else folder / "line").write_text("")
    with coordinator(bench.store) as another:
        again = Bench(bench.notes, bench.store, another)
        again.submit("trial", stage)
        assert again.answers("trial") == [None]
        assert len(again.snapshot().notes) == 1
    assert bench.ran() == {"kept": 2}


def test_a_broken_artifact_that_cannot_be_removed_is_the_reason(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", 4):
        store = Store(str(tmp_path / "disk" / "store"))
        with coordinator(store) as actor:
            bench = Bench(tmp_path / "notes", store, actor)
            stage = bench.stage("kept")
            bench.submit("trial", stage)
            assert bench.answers("trial") == [None]
        (store.fetch(stage.artifact) / "line").write_text("")
        make_read_only(tmp_path / "disk")
        with coordinator(store) as another:
            again = Bench(bench.notes, store, another)
            again.submit("trial", stage)
            (reason,) = again.answers("trial")
            assert reason is not None
            assert reason.endswith(f"{stage.artifact} cannot be removed: Read-only file system")
            assert again.snapshot().counts["failed"] == 1
            renewed = Store(str(tmp_path / "elsewhere"))
            ray.get(another.renew.remote(renewed, None))  # so that it holds nothing of the disk


def test_a_drained_coordinator_ends_what_runs_and_starts_nothing(bench: Bench) -> None:
    running = bench.held("running")
    above, queued = bench.stage("above", running), bench.stage("queued", threads=int(ray.cluster_resources()["CPU"]))
    bench.submit("first", running, above)
    ray.get(bench.actor.wait_until_begun.remote(), timeout=60)
    bench.submit("second", queued)
    ray.get(bench.actor.drain.remote())
    bench.go()
    assert bench.answers("first", "second") == [STOPPED, STOPPED]
    assert bench.store.has(running.artifact)
    assert bench.ran() == {"running": 1}
    last = bench.snapshot()
    assert [status.title for status in last.ended] == ["noted running"]
    stopped = dict.fromkeys((above.fingerprint, queued.fingerprint), "stopped")
    assert last.ends == {running.fingerprint: "done", **stopped}, "also those that are not told of"


def test_a_coordinator_that_was_killed_is_started_anew_and_told_by_who_asks(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    with started(Coordinator, store) as actor:
        bench = Bench(tmp_path / "notes", store, actor)
        slow = bench.held("slow", bench.stage("below"))
        bench.submit("trial", slow)
        life = bench.snapshot().life
        waiting = ray.remote(_wait).options(num_cpus=0).remote(actor, "trial")
        ray.get(actor.wait_until_begun.remote(), timeout=60)
        ray.kill(actor, no_restart=False)
        deadline = time.monotonic() + 60
        while ask(lambda: actor.snapshot.remote()).life == life:  # the kill is on its way
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert ask(lambda: actor.submit.remote("trial", [slow.fingerprint], [])) is False
        bench.submit("trial", slow)
        bench.go()
        assert ray.get(waiting, timeout=60) is None
        assert store.has(slow.artifact)


def _wait(actor: Any, trial: str) -> str | None:
    found: str | None = ask(lambda: actor.wait_for.remote(trial))
    return found


def test_what_the_store_has_is_not_run_again(bench: Bench) -> None:
    stage = bench.stage("kept", bench.stage("below"))
    bench.submit("trial", stage)
    bench.answers("trial")
    with coordinator(bench.store) as another:
        again = Bench(bench.notes, bench.store, another)
        again.submit("trial", stage)
        assert again.answers("trial") == [None]
        told = again.snapshot()
    assert bench.ran() == {"kept": 1, "below": 1}
    assert told.counts["cached"] == 2
    assert list(told.ended) == []


def test_a_stage_that_would_go_past_the_budget_is_left_to_do_and_so_is_all_after_it(bench: Bench) -> None:
    measured = Rates()
    measured.learn("noted", 0, 3600.0)
    account = Spending(Budget.parse("1.5cpuh"), time.time(), measured)
    with coordinator(bench.store, account) as actor:
        other = Bench(bench.notes, bench.store, actor)
        first = other.stage("first", seconds=0.2)
        other.submit("one", first)
        assert other.answers("one") == [None]
        wait_until(lambda: other.snapshot().counts["done"] == 1)
        other.submit("two", other.stage("second", first), other.stage("third", first))
        assert other.answers("two") == [None], "they take as long as the first did"
        other.submit("unlike", Working(pauses=()))
        assert other.answers("unlike") == [None], "of a kind that was never measured"
    assert bench.ran() == {"first": 1, "second": 1, "third": 1}
    with coordinator(bench.store, Spending(Budget.parse("0.5cpuh"), time.time(), measured)) as actor:
        other = Bench(bench.notes, bench.store, actor)
        fourth = other.stage("fourth")
        other.submit("there", other.stage("second", first))
        other.submit("here", other.stage("after", fourth))
        assert other.answers("there", "here") == [None, OVER_BUDGET]
        snapshot = other.snapshot()
    assert snapshot.refused.startswith("noted fourth would go past the budget of 0.5 CPU-hours: 0 are spent")
    assert snapshot.counts["stopped"] == 2
    assert "fourth" not in bench.ran()


def test_two_launches_on_one_store_compute_what_they_share_once(bench: Bench) -> None:
    shared = Common(notes=str(bench.notes), name="shared")
    with coordinator(bench.store) as actor:
        other = Bench(bench.notes, bench.store, actor)
        bench.submit("here", bench.stage("one", shared))
        wait_until(lambda: bench.ran() == {"shared": 1})
        other.submit("there", other.stage("two", shared))
        notes: list[str] = []
        wait_until(lambda: bool(notes.extend(other.snapshot().notes) or notes))
        bench.go()
        assert bench.answers("here") == other.answers("there") == [None]
    assert bench.ran() == {"shared": 1, "one": 1, "two": 1}
    assert notes[0].startswith("noted shared: another launch on this store computes it, on ")
    assert not bench.store.list_json("claims"), "it has been given back"


def test_the_claim_of_a_process_that_has_died_stops_nobody(bench: Bench) -> None:
    shared = Common(notes=str(bench.notes), name="shared")
    bench.go()
    bench.store.write_json(path_of(shared.artifact), {**process_identity(), "pid": 2**22 + 1, "token": "dead"})
    bench.submit("here", shared)
    assert bench.answers("here") == [None]
    assert bench.ran() == {"shared": 1}


def test_a_stage_whose_rival_fails_is_computed_here(bench: Bench) -> None:
    shared = Failing(notes=str(bench.notes), name="shared")
    with coordinator(bench.store) as actor:
        other = Bench(bench.notes, bench.store, actor)
        bench.submit("here", shared)
        wait_until(lambda: bench.ran() == {"shared": 1})
        other.submit("there", shared)
        wait_until(lambda: bool(other.snapshot().notes))
        bench.go()
        assert bench.answers("here") == other.answers("there") == ["shared did not work"]
    assert bench.ran() == {"shared": 2}


class Sociable(Coordinator):
    """A coordinator that says whether it knows of other campaigns, and asks often."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        fair_share.BEAT = 0.3  # in this process, which is its own
        super().__init__(*arguments, **named)

    async def knows_of_others(self) -> bool:
        return bool(self._room._share)


def test_campaigns_on_one_cluster_share_it(bench: Bench) -> None:
    """The first has many stages to run when the second comes; the second's do not wait for all of them."""
    with (
        started(Sociable, bench.store, shares=True) as actor,
        started(Sociable, bench.store, shares=True) as other_actor,
    ):
        here, there = (Bench(bench.notes, bench.store, each) for each in (actor, other_actor))
        there.submit("known", there.stage("known"))
        assert there.answers("known") == [None]
        here.submit("before", here.stage("before"))
        assert here.answers("before") == [None]
        for each in (actor, other_actor):
            wait_until(lambda each=each: ray.get(each.knows_of_others.remote()))  # type: ignore[misc]
        many = [here.stage(f"many{i}", seconds=0.2) for i in range(60)]
        here.submit("many", *many)
        there.submit("few", there.stage("few"))
        assert there.answers("few") == [None]
        begun = sum(name.startswith("many") for name in bench.ran())
        assert begun < 50, "it did not wait for the other campaign's end"
        assert here.answers("many") == [None]
    assert sum(name.startswith("many") for name in bench.ran()) == 60

"""The searcher in the driver, without Ray: a coordinator that keeps what it is sent, records that are made up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

from tbar_ray.errors import StoreError
from tbar_ray.execution.calls import STOPPED, StageCall
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.writing import RecordWriter
from tbar_ray.search.proposals import GivenTrials, Objective, Proposal, Proposals
from tbar_ray.search.searcher import LOST, CampaignSearcher
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.evaluate import SCORES
from tbar_ray.stages.node import stages_in_order
from tbar_ray.store.store import Store
from tests.records.records import record
from tests.specs import spec

DONE = {"reason": None}


class Remote:
    """Keeps what a coordinator would be sent, once that is waited for: trial, outputs and calls."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[str], list[StageCall]]] = []
        self.submit = self

    def remote(self, trial: str, outputs: Sequence[str], calls: Sequence[StageCall]) -> Callable[[], None]:
        return lambda: self.sent.append((trial, list(outputs), list(calls)))


@pytest.fixture(autouse=True)
def without_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.search.searcher.ask", lambda call: call()())


class Heard(Proposals):
    """Given trials, and what was told of each."""

    def __init__(self, planned: Sequence[PlannedTrial]) -> None:
        self._given = GivenTrials(planned)
        self.told: list[Objective] = []

    def next(self) -> Proposal | None:
        proposal = self._given.next()
        return None if proposal is None else Proposal(proposal.planned, self.told.append)


class Sweep:
    """A searcher over the cells of a grid, with everything around it."""

    def __init__(self, folder: Path, made: CampaignSpec, planned: Sequence[PlannedTrial] | None = None) -> None:
        self.planned = Planner(made).grid() if planned is None else planned
        self.proposals, self.coordinator = Heard(self.planned), Remote()
        self.ledger = Ledger(Store(str(folder / "store")), made)
        self.ended: list[TrialRecord] = []
        self.searcher = CampaignSearcher(
            self.proposals, self.coordinator, self.ledger, lambda record, _: self.ended.append(record)
        )

    def hand_out(self) -> list[str]:
        """Ask until there is no more; return Tune's names of the trials."""
        names: list[str] = []
        while self.searcher.suggest(f"t{len(names)}") is not None:
            names.append(f"t{len(names)}")
        return names


GRID = spec(search={"axes": {"attack": ["badnets", "blended"], "forget_size": [10, 20]}})


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path, GRID)


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch) -> None:
    """All stages count as done: a trial's record is made up."""

    def made_up(self: RecordWriter, planned: PlannedTrial) -> TrialRecord:
        trial = planned.trial
        return record(trial.attack, trial.spec.forget.size, fingerprint=planned.fingerprint)

    monkeypatch.setattr(RecordWriter, "finished", made_up)


def test_every_trial_is_handed_out_once_by_its_fingerprint(sweep: Sweep) -> None:
    configs = [sweep.searcher.suggest(f"t{number}") for number in range(5)]
    prints = [planned.fingerprint for planned in sweep.planned]
    assert configs == [*({"trial": fingerprint} for fingerprint in prints), None]
    assert sweep.searcher.handed_out == prints


@pytest.mark.usefixtures("finished")
def test_trials_wait_for_room_which_may_grow(sweep: Sweep) -> None:
    room = 1
    sweep.searcher._room = lambda: room
    assert [sweep.searcher.suggest(name) is not None for name in "ab"] == [True, False]
    room = 2
    assert [sweep.searcher.suggest(name) is not None for name in "bc"] == [True, False]
    sweep.searcher.on_trial_complete("a", DONE)
    assert sweep.searcher.suggest("c") is not None


def test_every_stage_is_submitted_once_and_inputs_come_first(sweep: Sweep) -> None:
    sweep.hand_out()
    expected = [stage.fingerprint for stage in stages_in_order([o for p in sweep.planned for o in p.graph.outputs])]
    sent = [call.fingerprint for _, _, calls in sweep.coordinator.sent for call in calls]
    assert sorted(sent) == sorted(expected)
    for place, call in enumerate(call for _, _, calls in sweep.coordinator.sent for call in calls):
        assert set(call.inputs) <= set(sent[:place])
    assert [(trial, outputs) for trial, outputs, _ in sweep.coordinator.sent] == [
        (planned.fingerprint, [stage.fingerprint for stage in stages_in_order(planned.graph.outputs)])
        for planned in sweep.planned
    ]


@pytest.mark.usefixtures("finished")
def test_a_finished_trial_is_kept_shown_and_told(sweep: Sweep) -> None:
    sweep.hand_out()
    sweep.searcher.on_trial_complete("t1", DONE)
    (shown,) = sweep.ended
    assert shown.fingerprint == sweep.planned[1].fingerprint
    assert sweep.ledger.find(shown.fingerprint) == shown
    (told,) = sweep.proposals.told
    assert shown.selected_point is not None
    assert (told["asr"], told["ca"]) == (shown.selected_point.asr, shown.selected_point.ca)


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize(
    ("result", "error", "reason"),
    [
        (None, True, LOST),
        (DONE, True, LOST),
        (None, False, LOST),
        ({"training_iteration": 1}, False, LOST),
        ({"reason": "attack did not take"}, False, "attack did not take"),
        ({"reason": STOPPED}, False, STOPPED),
    ],
    ids=[
        "its process died",
        "died after a report",
        "no result",
        "a result without a reason",
        "a stage failed",
        "its stages were stopped though nobody asked",
    ],
)
def test_a_trial_that_did_not_end_well_has_a_failed_record_and_its_study_hears_nothing(
    sweep: Sweep, result: dict[str, Any] | None, error: bool, reason: str
) -> None:
    sweep.hand_out()
    sweep.searcher.on_trial_complete("t0", result, error=error)
    (shown,) = sweep.ended
    assert (shown.status, shown.reason) == ("failed", reason)
    assert shown.ended is not None, "when it failed"
    assert sweep.ledger.find(sweep.planned[0].fingerprint) == shown
    assert sweep.proposals.told == [{}]


@pytest.mark.usefixtures("finished")
@pytest.mark.parametrize("result", [None, {"reason": STOPPED}])
def test_a_trial_that_was_stopped_on_request_has_no_record(sweep: Sweep, result: dict[str, Any] | None) -> None:
    sweep.hand_out()
    sweep.searcher.is_stopping = lambda: True
    sweep.searcher.on_trial_complete("t0", result)
    sweep.searcher.on_trial_complete("t1", DONE)
    assert [shown.fingerprint for shown in sweep.ended] == [sweep.planned[1].fingerprint]


@pytest.mark.usefixtures("finished")
def test_every_trial_that_was_handed_out_has_a_record_at_the_end(sweep: Sweep) -> None:
    sweep.hand_out()
    sweep.searcher.on_trial_complete("t1", DONE)
    sweep.searcher.settle()
    assert sweep.searcher.ended == set(sweep.searcher.handed_out)
    assert {shown.reason for shown in sweep.ended if shown.status == "failed"} == {LOST}
    assert sum(shown.status == "failed" for shown in sweep.ended) == len(sweep.planned) - 1


@pytest.mark.parametrize(
    "error",
    [StoreError("no artifact"), KeyError("path"), FileNotFoundError("path.json"), TypeError("x"), ValueError("y")],
    ids=lambda error: type(error).__name__,
)
def test_artifacts_that_cannot_be_read_are_a_failed_trial(
    sweep: Sweep, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def broken(self: RecordWriter, planned: PlannedTrial) -> TrialRecord:
        raise error

    monkeypatch.setattr(RecordWriter, "finished", broken)
    sweep.hand_out()
    sweep.searcher.on_trial_complete("t0", DONE)
    (shown,) = sweep.ended
    assert shown.status == "failed"
    assert shown.reason is not None
    assert str(error) in shown.reason
    assert sweep.proposals.told == [{}]


def test_broken_scores_fail_the_trial_and_not_the_sweep(sweep: Sweep) -> None:
    store, graph = sweep.ledger.store, sweep.planned[0].graph
    out = store.scratch()
    (out / SCORES).write_text("{}")
    store.commit(graph.infected.artifact, out, {"kind": graph.infected.kind})
    sweep.hand_out()
    sweep.searcher.on_trial_complete("t0", {"reason": "a stage failed"})
    (shown,) = sweep.ended
    assert (shown.status, shown.reason, shown.infected) == ("failed", "a stage failed", None)


@pytest.mark.usefixtures("finished")
def test_a_trial_that_is_proposed_twice_is_one(tmp_path: Path) -> None:
    (planned, *_) = Planner(GRID).grid()
    sweep = Sweep(tmp_path, GRID, [planned, planned])
    assert sweep.hand_out() == ["t0", "t1"]
    assert [len(calls) for _, _, calls in sweep.coordinator.sent] == [len(stages_in_order(planned.graph.outputs)), 0]
    for name in ("t0", "t1"):
        sweep.searcher.on_trial_complete(name, DONE)
    assert len(sweep.ledger.read()) == 1
    assert len(sweep.proposals.told) == 2  # the study waits for both
    assert sweep.searcher.handed_out == [planned.fingerprint] * 2


def test_tune_can_pickle_a_searcher_that_holds_locks(sweep: Sweep) -> None:
    lock = threading.Lock()
    searcher = CampaignSearcher(sweep.proposals, lock, sweep.ledger, lambda _: None)
    assert cloudpickle.loads(cloudpickle.dumps(searcher)).__dict__ == {}


def test_an_end_is_heard_once_and_of_known_trials_only(sweep: Sweep) -> None:
    sweep.hand_out()
    for _ in range(2):
        sweep.searcher.on_trial_complete("t0", {"reason": "x"})
    sweep.searcher.on_trial_complete("unknown", DONE)
    assert len(sweep.ended) == 1

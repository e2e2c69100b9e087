"""Ray Tune's searcher of a campaign: hands out trials, takes their results, writes their records."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import time
from typing import Any

from ray.tune.search import Searcher

from tbar_ray.errors import StoreError, TbarError
from tbar_ray.execution.asking import ask
from tbar_ray.execution.calls import OVER_BUDGET, STOPPED, calls_for
from tbar_ray.planning.planner import PlannedTrial
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.objective import objective_values
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.writing import UNREADABLE, RecordWriter
from tbar_ray.search.proposals import Proposal, Proposals
from tbar_ray.stages.node import Policy, stages_in_order

OnTrial = Callable[[TrialRecord, PlannedTrial], None]
"""Called in the driver with the record of every trial that ended, and its plan."""
LOST = "the trial's process ended without a result"


class CampaignSearcher(Searcher):  # type: ignore[misc]
    """Runs in the driver, where each trial is planned once; `before` is called with each that is handed out.

    `room` says how many trials may be in flight; None leaves that to Tune.

    A trial's stages go to the coordinator when it is handed out; Tune's process of the trial only waits for them. When
    it has ended, its record is made from the store and written, and its result goes to the study.
    """

    def __init__(
        self,
        proposals: Proposals,
        coordinator: Any,
        ledger: Ledger,
        on_trial: OnTrial,
        before: Callable[[PlannedTrial], None] = lambda _: None,
        room: Callable[[], int] | None = None,
    ) -> None:
        super().__init__()
        self._proposals, self._coordinator, self._ledger, self._on_trial = proposals, coordinator, ledger, on_trial
        self._before, self._room = before, room
        self._writer = RecordWriter(ledger.store)
        self._running: dict[str, Proposal] = {}
        self._sent: set[str] = set()
        self.handed_out: list[str] = []
        """The fingerprints of the trials, in order; a sampler may propose one twice."""
        self.ended: set[str] = set()
        """The fingerprints of those that have a record of this sweep."""
        self.is_stopping: Callable[[], bool] = lambda: False
        """Whether no more trials are to be handed out."""
        self.over_budget = False
        """Whether a trial was not run because the launch's budget was not enough."""
        self.failure: StoreError | None = None
        """Why records cannot be kept any more."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Hand out the next trial; None while there is none or no room for it, 'FINISHED' when no more are to run."""
        if self.failure is not None or self.over_budget or self.is_stopping():
            finished: str = Searcher.FINISHED
            return finished
        if self._room is not None and len(self._running) >= self._room():
            return None
        proposal = self._proposals.next()
        if proposal is None:
            return None
        planned = proposal.planned
        self._before(planned)
        self._running[trial_id] = proposal
        # the next trial leaves out what this one sends, and an asynchronous actor takes calls in any order
        if not self._send(planned, self._sent):
            self._sent.clear()  # the coordinator was restarted
            self._send(planned, self._sent)
        self._sent.update(stage.fingerprint for stage in stages_in_order(planned.graph.outputs))
        self.handed_out.append(planned.fingerprint)
        return {"trial": planned.fingerprint}

    def send_again(self) -> None:
        """Send a coordinator that was restarted the trials that run; may be called from any thread."""
        for proposal in list(self._running.values()):
            self._send(proposal.planned, ())

    def _send(self, planned: PlannedTrial, without: Collection[str]) -> bool:
        # a trial waits for all its stages: its record tells of each, and some may be missing under those that are there
        outputs = [stage.fingerprint for stage in stages_in_order(planned.graph.outputs)]
        calls = calls_for(planned.graph.outputs, Policy.of(planned.trial.spec.resources), without)
        return ask(lambda: self._coordinator.submit.remote(planned.fingerprint, outputs, calls)) is not False

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Write the trial's record and pass its result to the study."""
        proposal = self._running.pop(trial_id, None)
        if proposal is None:
            return
        reason = LOST if error or not result or "reason" not in result else result["reason"]
        self.over_budget = self.over_budget or reason == OVER_BUDGET
        if reason == OVER_BUDGET:
            return
        if self.failure is not None or (reason in (LOST, STOPPED) and self.is_stopping()):
            return  # it was not run, and the next launch runs it
        record = self._record(proposal.planned, reason)
        try:
            self._ledger.write(record)
        except StoreError as failure:  # full or read-only by now: Tune would show a traceback
            self.failure = failure
            return
        self.ended.add(record.fingerprint)
        self._on_trial(record, proposal.planned)
        spec = proposal.planned.trial.spec
        proposal.tell(objective_values(record, spec.evaluation.min_retention))

    def settle(self) -> None:
        """Write a record of every trial that was handed out and whose end Tune has not told."""
        for trial_id in list(self._running):
            self.on_trial_complete(trial_id, error=True)

    def _record(self, planned: PlannedTrial, reason: str | None) -> TrialRecord:
        if reason is None:
            try:
                return self._writer.finished(planned)
            except TbarError as error:
                reason = str(error)
            except UNREADABLE as error:
                reason = f"no record of the trial: {type(error).__name__}: {error}"
        return self._writer.failed(planned, reason, ended=time())

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher when it starts; this one's state is of use in the driver alone."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: a campaign resumes from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""

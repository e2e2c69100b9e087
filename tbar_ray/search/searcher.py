"""Ray Tune's searcher of a campaign: hands out trials, takes their results, writes their records."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ray
from ray.tune.search import Searcher

from tbar_ray.errors import TbarError
from tbar_ray.execution.calls import calls_for
from tbar_ray.planning.planner import PlannedTrial
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.writing import UNREADABLE, RecordWriter, objective_values
from tbar_ray.search.proposals import Proposal, Proposals
from tbar_ray.stages.node import Policy

OnTrial = Callable[[TrialRecord], None]
"""Called in the driver with the record of every trial that ended."""
LOST = "the trial's process ended without a result"


class CampaignSearcher(Searcher):  # type: ignore[misc]
    """Runs in the driver, where each trial is planned once.

    A trial's stages go to the coordinator when it is handed out; Tune's process of the trial only waits for them. When
    it has ended, its record is made from the store and written, and its result goes to the study.
    """

    def __init__(self, proposals: Proposals, coordinator: Any, ledger: Ledger, on_trial: OnTrial) -> None:
        super().__init__()
        self._proposals, self._coordinator, self._ledger, self._on_trial = proposals, coordinator, ledger, on_trial
        self._writer = RecordWriter(ledger.store)
        self._running: dict[str, Proposal] = {}
        self._sent: set[str] = set()
        self.handed_out: list[str] = []
        """The fingerprints of the trials, in order; a sampler may propose one twice."""

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Hand out the next trial; None while results are outstanding."""
        proposal = self._proposals.next()
        if proposal is None:
            return None
        planned = proposal.planned
        calls = calls_for(planned.graph.outputs, Policy.of(planned.trial.spec.resources), self._sent)
        outputs = [stage.fingerprint for stage in planned.graph.outputs]
        # the next trial leaves out what this one sends, and an asynchronous actor takes calls in any order
        ray.get(self._coordinator.submit.remote(planned.fingerprint, outputs, calls))
        self._sent.update(call.fingerprint for call in calls)
        self._running[trial_id] = proposal
        self.handed_out.append(planned.fingerprint)
        return {"trial": planned.fingerprint}

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Write the trial's record and pass its result to the study."""
        proposal = self._running.pop(trial_id, None)
        if proposal is None:
            return
        reason = LOST if error or not result or "reason" not in result else result["reason"]
        record = self._record(proposal.planned, reason)
        self._ledger.write(record)
        self._on_trial(record)
        spec = proposal.planned.trial.spec
        failed = record.status == "failed"
        proposal.tell(None if failed else objective_values(record, spec.evaluation.min_retention))

    def _record(self, planned: PlannedTrial, reason: str | None) -> TrialRecord:
        if reason is None:
            try:
                return self._writer.finished(planned)
            except TbarError as error:
                reason = str(error)
            except UNREADABLE as error:
                reason = f"no record of the trial: {type(error).__name__}: {error}"
        return self._writer.failed(planned, reason)

    def __getstate__(self) -> dict[str, Any]:
        """Return nothing: Tune pickles its searcher when it starts; this one's state is of use in the driver alone."""
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing is kept: a campaign resumes from the store."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing was kept."""

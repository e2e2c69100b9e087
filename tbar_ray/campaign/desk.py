"""Where trials are answered: one process that knows spec and graph, for all trials of a campaign."""

from __future__ import annotations

from typing import Any

import ray

from tbar_ray.campaign.executor import calls_for, last_line
from tbar_ray.campaign.graph import Foundation, build_graph
from tbar_ray.campaign.results import Ledger, failed_record, finished_record, objective_values
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.campaign.store import Store
from tbar_ray.campaign.trial import make_trial
from tbar_ray.errors import ScientificError


class TrialDesk:
    """Asks the coordinator for a trial's last stages, waits, and keeps the record (a Ray actor with threads).

    Trials' own processes would each have to import the numeric code to do this: seconds and 600 MB apiece.
    """

    def __init__(self, spec: CampaignSpec, base: Foundation, store: Store, coordinator: Any) -> None:
        self._spec, self._base, self._store, self._coordinator = spec, base, store, coordinator
        self._ledger = Ledger(store, spec)

    def run(self, values: dict[str, Any]) -> dict[str, float]:
        """Answer one trial and return what its search is told.

        Raises:
            ScientificError: if the trial failed; its record says the same.
        """
        trial = make_trial(self._spec, values)
        graph = build_graph(self._spec, trial, self._base)
        outcomes = ray.get([self._coordinator.resolve.remote(calls_for(end)) for end in graph.ends])
        reason = next((outcome.error for outcome in outcomes if outcome.error is not None), None)
        if reason is None:
            try:
                record = finished_record(self._spec, trial, graph, self._store)
            except Exception as error:  # whatever it is, the trial's record must say it
                reason = f"no record of the trial: {type(error).__name__}: {last_line(error)}"
        if reason is not None:
            self._ledger.write(failed_record(self._spec, trial, graph, reason, self._store))
            raise ScientificError(reason)
        self._ledger.write(record)
        return objective_values(record, self._spec.evaluation.min_retention)

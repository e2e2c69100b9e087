"""Where trials are answered: in the driver, which knows spec and graph already."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any

import ray

from tbar_ray.errors import ScientificError
from tbar_ray.execution.executor import calls_for, last_line
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.graph import build_graph
from tbar_ray.planning.trial import make_trial
from tbar_ray.records.results import Ledger, failed_record, finished_record, objective_values
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

AT_ONCE = 64
"""Trials whose records are written at a time; others wait their turn."""


class TrialDesk:
    """Takes trials' questions from the coordinator, asks for their stages, keeps their records; a context manager.

    Trials' own processes would each have to import the numeric code to do this: seconds and 600 MB apiece.
    """

    def __init__(self, spec: CampaignSpec, base: Foundation, store: Store, coordinator: Any) -> None:
        self._spec, self._base, self._store, self._coordinator = spec, base, store, coordinator
        self._ledger = Ledger(store, spec)
        self._thread = threading.Thread(target=self._serve, name="trial desk", daemon=True)

    def __enter__(self) -> TrialDesk:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._coordinator.close_desk.remote()
        self._thread.join(timeout=5)

    def run(self, values: dict[str, Any]) -> dict[str, float]:
        """Answer one trial and return what its search is told.

        Raises:
            ScientificError: if the trial failed; its record says the same.
        """
        trial = make_trial(self._spec, values)
        graph = build_graph(self._spec, trial, self._base)
        outcomes = ray.get([self._coordinator.resolve.remote(calls_for(end)) for end in graph.outputs])
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

    def _serve(self) -> None:
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="trial") as pool:
            while (asked := self._next()) is not None:
                pool.submit(self._answer, *asked)

    def _next(self) -> tuple[int, dict[str, Any]] | None:
        try:
            asked: tuple[int, dict[str, Any]] | None = ray.get(self._coordinator.next_asked.remote())
        except Exception:  # Ray is going down: nobody asks any more
            return None
        return asked

    def _answer(self, number: int, values: dict[str, Any]) -> None:
        objective: dict[str, float] = {}
        reason: str | None = None
        try:
            objective = self.run(values)
        except ScientificError as error:
            reason = str(error)
        except Exception as error:  # the trial must not wait for ever; its record is written by the driver
            reason = f"{type(error).__name__}: {last_line(error)}"
        self._coordinator.answer.remote(number, objective, reason)

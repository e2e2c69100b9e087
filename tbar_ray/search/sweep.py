"""The sweep: Ray Tune runs the trials, a grid or Optuna proposes them."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable
from typing import Any

import ray
from ray import tune

from tbar_ray.execution.desk import TrialDesk
from tbar_ray.execution.executor import last_line
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.graph import build_graph
from tbar_ray.planning.trial import Trial, make_trial
from tbar_ray.records.results import Ledger, Record, failed_record
from tbar_ray.search.trial_function import wait_for_trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

OnTrial = Callable[[Record], None]
"""Called in the driver with the record of every trial that ended."""


class _TrialWatch(tune.Callback):  # type: ignore[misc]
    """Hands every ended trial's record to the driver."""

    def __init__(self, spec: CampaignSpec, base: Foundation, store: Store, on_trial: OnTrial) -> None:
        self._spec, self._base, self._store, self._on_trial = spec, base, store, on_trial
        self._ledger = Ledger(store, spec)

    def __getstate__(self) -> dict[str, Any]:
        """Tune pickles callbacks to restore an experiment; ours resumes from the store instead."""
        return {}

    def on_trial_complete(self, *, trial: Any, **_: Any) -> None:
        self._hand_over(trial)

    def on_trial_error(self, *, trial: Any, **_: Any) -> None:
        self._hand_over(trial)

    def _hand_over(self, tuned: Any) -> None:
        trial = make_trial(self._spec, tuned.config.get("values", tuned.config))
        graph = build_graph(self._spec, trial, self._base)
        record = self._ledger.find(graph.path.fingerprint)
        if record is None:  # the trial's process died before it could write: say so in its place
            record = failed_record(self._spec, trial, graph, _reason(tuned), self._store)
            self._ledger.write(record)
        self._on_trial(record)


def sweep(
    spec: CampaignSpec,
    base: Foundation,
    store: Store,
    coordinator: Any,
    on_trial: OnTrial,
    trials: list[Trial] | None = None,
) -> list[Trial]:
    """Run the given trials, or those that the sampler proposes; return them. Must run in the main thread."""
    trainable = tune.with_resources(
        tune.with_parameters(wait_for_trial, coordinator=coordinator),
        # trials only wait for stages, which bring their own resources; on the driver's node they need no
        # storage that nodes share
        tune.PlacementGroupFactory([{"CPU": 0, f"node:{ray.util.get_node_ip_address()}": 0.001}]),
    )
    if trials is not None:
        values = [axis_values(spec, trial) for trial in trials]
        space: dict[str, Any] = {"values": tune.grid_search(values)}
        config = tune.TuneConfig(max_concurrent_trials=min(spec.search.concurrency, len(trials)), reuse_actors=True)
    else:
        from tbar_ray.search.samplers import build_searcher, searched_trials

        space = {}
        config = tune.TuneConfig(search_alg=build_searcher(spec), num_samples=searched_trials(spec), reuse_actors=True)
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # results are kept in the store
    for name in ("ray.tune.execution.tune_controller", "ray.tune.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a failed trial's reason is its record, not a traceback
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # with verbose 0 the old output is silent; the new one is not
    with tempfile.TemporaryDirectory(prefix="tbar-tune-") as scratch:
        tuner = tune.Tuner(
            trainable,
            param_space=space,
            tune_config=config,
            run_config=tune.RunConfig(
                name=spec.name,
                storage_path=scratch,
                verbose=0,
                callbacks=[_TrialWatch(spec, base, store, on_trial)],
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        with TrialDesk(spec, base, store, coordinator):
            results = tuner.fit()
    return [make_trial(spec, result.config.get("values", result.config)) for result in results if result.config]


def axis_values(spec: CampaignSpec, trial: Trial) -> dict[str, Any]:
    """Return a grid cell as axis values; parameters of other methods are left out."""
    own = {f"{trial.method}.{name}": value for name, value in trial.parameters}
    cell = {**trial.cell, "alpha": trial.alphas[0], **own}
    return {name: cell[name] for name in spec.search.axes if name in cell}


def _reason(tuned: Any) -> str:
    error = tuned.get_pickled_error()
    return f"the trial's process ended without a result: {last_line(error) if error else 'no reason given'}"

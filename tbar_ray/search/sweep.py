"""The sweep: Ray Tune runs the trials, a grid or Optuna proposes them."""

from __future__ import annotations

import logging
import os
import tempfile
from typing import Any

import ray
from ray import tune

from tbar_ray.records.ledger import Ledger
from tbar_ray.search.proposals import Proposals
from tbar_ray.search.searcher import CampaignSearcher, OnTrial
from tbar_ray.search.trial_function import wait_for_stages

NEVER = "1000000000"
"""Seconds between Tune's snapshots of an experiment: a campaign resumes from the store."""


def sweep(
    proposals: Proposals, total: int, concurrency: int, coordinator: Any, ledger: Ledger, on_trial: OnTrial
) -> list[str]:
    """Run trials and return the fingerprints of those that were handed out. Must run in the main thread.

    Args:
        proposals: where the trials come from.
        total: how many there are at most.
        concurrency: trials in flight.
        coordinator: the actor that runs stages.
        ledger: where records are kept.
        on_trial: called with the record of every trial that ended.
    """
    searcher = CampaignSearcher(proposals, coordinator, ledger, on_trial)
    trainable = tune.with_resources(
        tune.with_parameters(wait_for_stages, coordinator=coordinator),
        # trials only wait for stages, which bring their own resources; on the driver's host they need no
        # storage that hosts share
        tune.PlacementGroupFactory([{"CPU": 0, f"node:{ray.util.get_node_ip_address()}": 0.001}]),
    )
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # results are kept in the store
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = NEVER
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # with verbose 0 the old output is silent; the new one is not
    for name in ("ray.tune.execution.tune_controller", "ray.tune.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a failed trial's reason is its record, not a traceback
    with tempfile.TemporaryDirectory(prefix="tbar-tune-") as scratch:
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                num_samples=total,
                max_concurrent_trials=min(concurrency, total),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                failure_config=tune.FailureConfig(max_failures=0),
            ),
        )
        tuner.fit()
    return searcher.handed_out

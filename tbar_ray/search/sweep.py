"""The sweep: Ray Tune runs the trials, a grid or Optuna proposes them."""

from __future__ import annotations

import logging
import os
from typing import Any

import ray
from ray import tune

from tbar_ray.search.searcher import CampaignSearcher
from tbar_ray.search.trial_function import wait_for_stages
from tbar_ray.store.temporary import temporary

NEVER = "1000000000"
"""Seconds between Tune's snapshots of an experiment: a campaign resumes from the store."""
LOSSES = 10
"""Processes of one trial that may be lost, one after the other, before it has failed."""


def sweep(searcher: CampaignSearcher, total: int, concurrency: int, coordinator: Any) -> None:
    """Run trials. Must run in the main thread.

    Args:
        searcher: hands them out, and keeps their records.
        total: how many there are at most.
        concurrency: trials in flight.
        coordinator: the actor that runs stages.

    Raises:
        StoreError: if a record could not be kept.
    """
    trainable = tune.with_resources(
        tune.with_parameters(wait_for_stages, coordinator=coordinator),
        # trials only wait for stages, which bring their own resources; on the driver's host they need no
        # storage that hosts share
        tune.PlacementGroupFactory([{"CPU": 0, f"node:{ray.util.get_node_ip_address()}": 0.001}]),
    )
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"  # results are kept in the store
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"  # whoever starts a sweep says what a signal does
    os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = NEVER
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # with verbose 0 the old output is silent; the new one is not
    for name in ("ray.tune.execution.tune_controller", "ray.tune.tune"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a failed trial's reason is its record, not a traceback
    with temporary("tune") as scratch:
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
                storage_path=str(scratch),
                verbose=0,
                # a trial only waits: its process may be lost with its node, and its stages go on meanwhile
                failure_config=tune.FailureConfig(max_failures=LOSSES),
            ),
        )
        tuner.fit()
    searcher.settle()  # Tune says of a trial that it left unfinished in its log alone, which is silent here
    if searcher.failure is not None:
        raise searcher.failure

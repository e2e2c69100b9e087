"""MLflow's system metrics: of a training its own process's; of a campaign this machine's, if its user wants them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mlflow.entities import Metric
from mlflow.environment_variables import MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor


class SystemMetrics:
    """CPU, memory, disk, network and GPUs as `system/…` of a run, if MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING is true.

    The machine is the driver's: with a local Ray the one that trains.

    Args:
        run_id: of the run.
        uri: where it is.
    """

    def __init__(self, run_id: str, uri: str) -> None:
        self._monitor: SystemMetricsMonitor | None = None
        if MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING.get():
            self._monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
            self._monitor.start()

    def finish(self) -> None:
        """Measure no more."""
        if self._monitor is not None:
            self._monitor.finish()
            self._monitor = None


def metrics_of_process(facts: Mapping[str, Any], started: int) -> list[Metric]:
    """The samples that a training's stage took of its process, under the names that MLflow has for a machine's.

    The CPU's share is of the CPUs that the process had, since the sample before. A training of an earlier version has
    no samples.

    Args:
        facts: of the training's artifact (`Store.facts`).
        started: of its run, in milliseconds since the epoch.
    """
    samples = facts.get("process")
    return [] if samples is None else list(_of_samples(samples, facts["threads"], started))


def _of_samples(samples: Mapping[str, list[Any]], cpus: int, started: int) -> Iterator[Metric]:
    before, computed = 0.0, 0.0
    for step in range(len(samples["seconds"])):
        row = {name: values[step] for name, values in samples.items()}
        passed, worked = row["seconds"] - before, row["cpu_seconds"] - computed
        before, computed = row["seconds"], row["cpu_seconds"]
        values = {
            "cpu_utilization_percentage": 100 * worked / passed / cpus if passed > 0 else None,
            "system_memory_usage_megabytes": row["memory"] / 1e6,
            "gpu_0_memory_usage_megabytes": None if row["gpu_memory"] is None else row["gpu_memory"] / 1e6,
            "gpu_0_utilization_percentage": None if row["gpu_utilisation"] is None else 100 * row["gpu_utilisation"],
        }
        taken = started + round(1000 * row["seconds"])
        yield from (
            Metric(f"system/{name}", round(value, 1), taken, step)
            for name, value in values.items()
            if value is not None
        )

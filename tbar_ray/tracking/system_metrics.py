"""MLflow's own measurements of this machine while a campaign runs, where its user asks for them."""

from __future__ import annotations

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

"""Recording in MLflow without depending on it: a server that dies in mid-campaign costs no result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from tbar_ray.campaign.results import Record
from tbar_ray.campaign.tracking import Tracker
from tbar_ray.errors import TrackingError

# what fails is told here, in one line: MLflow would print a traceback, and urllib3 every attempt
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)


class Recording:
    """A tracker whose failures, once the campaign runs, are one warning and end the recording.

    What was not recorded is recorded by the next launch: results are in the store, and runs are found by
    their fingerprints.

    Attributes:
        failure: why recording ended early, in one line; None while all is well.
    """

    def __init__(self, tracker: Tracker, console: Console) -> None:
        self._tracker = tracker
        self._console = console
        self.failure: str | None = None

    def start(self) -> None:
        """Open the parent run; nothing has been computed yet, so that failing is cheap.

        Raises:
            TrackingError: one line, if the server refuses.
        """
        try:
            self._tracker.start()
        except Exception as error:  # MLflow's back-ends have errors of their own
            raise TrackingError(self._describe(error)) from None

    def log_trial(self, record: Record) -> None:
        """Record a trial."""
        self._attempt(lambda: self._tracker.log_trial(record))

    def log_training(self, name: str, losses: list[tuple[int, float]]) -> None:
        """Record a loss curve."""
        self._attempt(lambda: self._tracker.log_training(name, losses))

    def log_report(self, files: list[Path]) -> None:
        """Attach the report."""
        self._attempt(lambda: self._tracker.log_report(files))

    def finish(self, status: str, summary: Mapping[str, float]) -> None:
        """Close the parent run."""
        self._attempt(lambda: self._tracker.finish(status, summary))

    def _attempt(self, action: Callable[[], None]) -> None:
        if self.failure is not None:
            return
        try:
            action()
        except Exception as error:  # MLflow's back-ends have errors of their own
            self.failure = self._describe(error)
            self._console.print(f"warning: {self.failure}; going on without it", style="yellow", markup=False)

    def _describe(self, error: Exception) -> str:
        reason = (str(error) or type(error).__name__).splitlines()[0][:200]
        return f"MLflow at {self._tracker.uri} does not record: {reason}"

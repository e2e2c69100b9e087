"""Recording in MLflow without depending on it: no result is lost if the server fails during a campaign."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from rich.console import Console

from tbar_ray.errors import TrackingError, first_line
from tbar_ray.records.record import TrialRecord
from tbar_ray.redaction import redact
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.paths import default_artifacts

if TYPE_CHECKING:
    from tbar_ray.tracking.tracker import Tracker

# failures are reported here, in one line: MLflow would print a traceback, and urllib3 every attempt
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

OPENING = 10.0
"""Seconds that a parent run which is being opened has to be there, when it is to be closed at once."""


class Recording:
    """A tracker; a failure while the campaign runs gives one warning and ends the recording.

    It works in a thread of its own, in the order in which it is asked: importing MLflow takes seconds, and the sweep
    must not wait for a slow server. The next launch records what was not recorded: results are in the store, and runs
    are found by their fingerprints.

    Attributes:
        failure: why recording ended early, in one line; None if it has not.
    """

    def __init__(self, spec: CampaignSpec, uri: str, console: Console) -> None:
        self._spec = spec
        self._uri = uri
        self._console = console
        self._tracker: Tracker | None = None
        self.failure: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._opening: Future[Tracker] | None = None
        self._starting, self._started, self._closed = Lock(), False, False

    def open(self) -> Future[Tracker]:
        """Start to open the parent run, unless that has begun."""
        if self._opening is None:
            self._opening = self._thread.submit(self._open)
        return self._opening

    def wait_until_open(self) -> Tracker:
        """The tracker, once its parent run is open.

        Raises:
            TrackingError: one line, if the server does not answer or refuses.
        """
        try:
            return self.open().result()
        except TrackingError:
            raise
        except Exception as error:  # MLflow's back-ends have errors of their own
            raise TrackingError(self._describe(error)) from None

    def log_trial(self, record: TrialRecord) -> None:
        """Record a trial."""
        self._ask(lambda tracker: tracker.log_trial(record))

    def log_training(self, name: str, training: Mapping[str, Any]) -> None:
        """Record a training's loss curve and speed."""
        self._ask(lambda tracker: tracker.log_training(name, training))

    def log_report(self, files: list[Path]) -> None:
        """Attach the report."""
        self._ask(lambda tracker: tracker.log_report(files))

    def finish(self, status: str | None, summary: Mapping[str, float]) -> None:
        """Close the parent run, once everything given so far is recorded; None leaves it open for other launches."""
        self._ask(lambda tracker: tracker.finish(status, summary))
        self._thread.shutdown()

    @property
    def runs(self) -> tuple[str, str]:
        """The parent run and its experiment; empty where nothing was recorded."""
        return ("", "") if self._tracker is None else (self._tracker.parent_id, self._tracker.experiment_id)

    def check(self) -> None:
        """Ask whether the campaign can be recorded, without MLflow, which takes seconds to import.

        Raises:
            TrackingError: one line, if its experiment was deleted.
        """
        from tbar_ray.tracking.places import check_experiment

        check_experiment(self._uri, self._spec.name)

    def close_now(self, status: str) -> None:
        """Close the parent run at once, from any thread, and record nothing more.

        One that was not begun is not opened any more; one that was is waited for.
        """
        with self._starting:
            self._closed = True
        if self._started and self._opening is not None:
            wait([self._opening], timeout=OPENING)
        if self._tracker is not None:
            with suppress(Exception):  # the process ends in any case
                self._tracker.close(status, for_good=True)

    def _open(self) -> Tracker:
        from tbar_ray.tracking.tracker import Tracker

        tracker = Tracker(self._uri, default_artifacts(self._uri), self._spec)
        with self._starting:
            if self._closed:
                raise TrackingError(
                    f"MLflow at {redact(self._uri)}: the campaign was stopped before its run was opened"
                )
            self._started = True
        tracker.start()
        self._tracker = tracker
        return tracker

    def _ask(self, action: Callable[[Tracker], None]) -> None:
        if self._closed:
            return
        self.open()
        self._thread.submit(self._attempt, action)

    def _attempt(self, action: Callable[[Tracker], None]) -> None:
        if self._closed or self.failure is not None or self._tracker is None:
            return
        try:
            action(self._tracker)
        except Exception as error:  # MLflow's back-ends have errors of their own
            self.failure = self._describe(error)
            self._console.print(f"warning: {self.failure}; going on without it", style="yellow", markup=False)

    def _describe(self, error: Exception) -> str:
        reason = first_line(error, 200)
        return redact(f"MLflow at {self._uri} does not record: {reason}")

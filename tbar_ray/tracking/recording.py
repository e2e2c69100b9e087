"""Recording in MLflow without depending on it: no result is lost if the server fails during a campaign."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console

from tbar_ray.colours import warned
from tbar_ray.errors import TrackingError, first_line
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.planner import PlannedTrial, campaign_fingerprint
from tbar_ray.records.record import TrialRecord
from tbar_ray.redaction import redact
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.paths import default_artifacts
from tbar_ray.tracking.links import pages_of
from tbar_ray.tracking.places import check_experiment, check_server, signed_in

if TYPE_CHECKING:
    from tbar_ray.tracking.tracker import Tracker

# failures are reported here, in one line: MLflow would print a traceback, and urllib3 every attempt
logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)

ResultT = TypeVar("ResultT")

OPENING = 10.0
"""Seconds that a parent run which is being opened has to be there, when it is to be closed at once."""
PAUSE = 5.0
"""Seconds between attempts to reach a server that does not answer."""
OUTAGE = 900.0
"""Seconds that a server may be away while the campaign runs."""
AT_THE_END = 120.0
"""Seconds that it may be away once everything else has ended."""


class Recording:
    """A tracker; a failure while the campaign runs gives one warning and ends the recording.

    A server that does not answer is asked again while the campaign goes on; what was to be recorded waits. One that has
    never answered is not waited for.

    It works in a thread of its own, in the order in which it is asked: importing MLflow takes seconds, and the sweep
    must not wait for a slow server. The next launch records what was not recorded: results are in the store, and runs
    are found by their fingerprints.

    Args:
        spec: the campaign.
        uri: where MLflow records.
        console: where warnings are shown.
        foundation: finds the campaign's data, which its run names; called in that thread.

    Attributes:
        failure: why recording ended early, in one line; None if it has not.
    """

    def __init__(
        self, spec: CampaignSpec, uri: str, console: Console, foundation: Callable[[], Foundation] | None = None
    ) -> None:
        self._spec = spec
        self._uri = uri
        self._console, self._foundation = console, foundation
        self._tracker: Tracker | None = None
        self.failure: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="recording")
        self._opening: Future[Tracker] | None = None
        self._starting, self._started, self._closed = Lock(), False, False
        self._leaving, self._ended, self._away, self._answered = Event(), False, False, False

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

    def log_trial(self, record: TrialRecord, planned: PlannedTrial | None = None) -> None:
        """Record a trial."""
        self._ask(lambda tracker: tracker.log_trial(record, planned))

    def log_training(self, facts: Mapping[str, Any]) -> None:
        """Record a training that trials share, by the facts of its artifact."""
        self._ask(lambda tracker: tracker.log_training(facts))

    def without_model(self, records: Sequence[TrialRecord]) -> list[TrialRecord]:
        """Those of some trials whose runs have no model yet, once they are recorded; none if recording has ended."""
        found: list[TrialRecord] = []
        self._ask(lambda tracker: found.extend(tracker.without_model(records)))
        self._thread.submit(lambda: None).result()  # it works in the order in which it is asked
        return found

    def log_model(self, record: TrialRecord, folder: Path) -> None:
        """Record a trial's cleaned model; its folder must last until `finish` has returned."""
        self._ask(lambda tracker: tracker.log_model(record, folder))

    def log_report(self, files: list[Path]) -> None:
        """Attach the report."""
        self._ask(lambda tracker: tracker.log_report(files))

    def finish(self, status: str | None, summary: Mapping[str, float]) -> None:
        """Close the parent run, once everything given so far is recorded; None leaves it open for other launches."""
        self._ask(lambda tracker: tracker.finish(status, summary))
        self._ended = True
        self._thread.shutdown()

    @property
    def runs(self) -> tuple[str, str]:
        """The parent run and its experiment; empty where nothing was recorded."""
        return ("", "") if self._tracker is None else (self._tracker.parent_id, self._tracker.experiment_id)

    @property
    def pages(self) -> dict[str, str]:
        """Addresses of the campaign's pages, by name; none where nothing was recorded."""
        return pages_of(self._uri, self.runs[1], campaign_fingerprint(self._spec))

    def check(self) -> None:
        """Ask whether the campaign can be recorded, without MLflow, which takes seconds to import.

        Raises:
            TrackingError: one line, if the server does not answer or refuses, or if the experiment was deleted.
        """
        uri = signed_in(self._uri)
        check_server(uri)
        check_experiment(uri, self._spec.name)
        self._answered = True

    def close_now(self, status: str) -> None:
        """Close the parent run at once, from any thread, and record nothing more.

        One that was not begun is not opened any more; one that was is waited for.
        """
        with self._starting:
            self._closed = True
        self._leaving.set()
        if self._started and self._opening is not None:
            wait([self._opening], timeout=OPENING)
        if self._tracker is not None:
            with suppress(Exception):  # the process ends in any case
                self._tracker.close(status, for_good=True)

    def _open(self) -> Tracker:
        from tbar_ray.tracking.tracker import Tracker

        tracker = self._reach(lambda: Tracker(self._uri, default_artifacts(self._uri), self._spec))
        with self._starting:
            if self._closed:
                raise TrackingError(
                    f"MLflow at {redact(self._uri)}: the campaign was stopped before its run was opened"
                )
            self._started = True
        foundation = None if self._foundation is None else self._foundation()
        self._reach(lambda: tracker.start(foundation))
        self._tracker = tracker
        return tracker

    def _ask(self, action: Callable[[Tracker], None]) -> None:
        if self._closed:
            return
        self.open()
        self._thread.submit(self._attempt, action)

    def _attempt(self, action: Callable[[Tracker], None]) -> None:
        tracker = self._tracker
        if self._closed or self.failure is not None or tracker is None:
            return
        try:
            self._reach(lambda: action(tracker))
        except Exception as error:  # MLflow's back-ends have errors of their own
            if not self._leaving.is_set():
                self.failure = self._describe(error)
                self._warn(f"{self.failure}; going on without it")

    def _reach(self, action: Callable[[], ResultT]) -> ResultT:
        """Carry out an action, again for as long as a server that has answered before is away."""
        lost: float | None = None
        while True:
            try:
                done = action()
            except Exception as error:
                lost = time.monotonic() if lost is None else lost
                if not self._may_come_back(error, time.monotonic() - lost):
                    raise
                if not self._away:
                    self._warn(f"{self._describe(error)}; trying again until it answers")
                self._away = True
                if self._leaving.wait(PAUSE):
                    raise
                if self._tracker is not None:
                    self._tracker.forget()
            else:
                if self._away:
                    self._away = False
                    self._warn(f"MLflow at {redact(self._uri)} records again")
                return done

    def _may_come_back(self, error: Exception, seconds: float) -> bool:
        """Whether a server that has not worked for so long is worth another attempt."""
        from tbar_ray.tracking.tracker import is_down

        known = self._answered or self._tracker is not None
        return known and is_down(error, self._uri) and seconds < (AT_THE_END if self._ended else OUTAGE)

    def _warn(self, text: str) -> None:
        self._console.print(warned(f"warning: {text}"))

    def _describe(self, error: Exception) -> str:
        reason = first_line(error, 200)
        return redact(f"MLflow at {self._uri} does not record: {reason}")

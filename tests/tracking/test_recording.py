"""Recording beside the sweep: in order, in its own thread, and never in the way."""

from __future__ import annotations

import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread
from typing import Any, cast

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, RESOURCE_DOES_NOT_EXIST
from rich.console import Console

from tbar_ray.errors import TrackingError
from tbar_ray.planning.foundation import Foundation
from tbar_ray.tracking.places import UnreachableError
from tbar_ray.tracking.recording import Recording
from tbar_ray.tracking.tracker import Tracker
from tests.records.records import record
from tests.specs import spec


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database of MLflow without runs: making its tables takes seconds."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def uri(tables: Path, tmp_path: Path) -> str:
    """A database of a test's own."""
    return f"sqlite:///{shutil.copy(tables, tmp_path / 'mlflow.db')}"


def test_everything_is_recorded_once_finish_returns(uri: str) -> None:
    recording = Recording(spec(name="beside"), uri, Console(quiet=True))
    for size in (10, 20, 30):
        recording.log_trial(record(size=size))  # nobody has waited for the parent run
    assert recording.without_model([record(size=20)]) == [record(size=20)]
    recording.finish("FINISHED", {"trials": 3.0})
    assert recording.failure is None
    tracker = recording.wait_until_open()
    client = MlflowClient(uri)
    runs = client.search_runs([tracker.experiment_id], order_by=["attributes.start_time ASC"])
    parent = next(run for run in runs if run.info.run_id == tracker.parent_id)
    assert (parent.info.status, parent.data.metrics["trials"]) == ("FINISHED", 3.0)
    nested = [run.data.params["forget_size"] for run in runs if run.info.run_id != tracker.parent_id]
    assert nested == ["10", "20", "30"]


def test_a_place_that_cannot_be_written_is_one_error_and_no_warning(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    out = io.StringIO()
    recording = Recording(spec(), f"sqlite:///{tmp_path / 'file' / 'mlflow.db'}", Console(file=out))
    recording.open()
    with pytest.raises(TrackingError, match="--tracking-uri"):
        recording.wait_until_open()
    recording.log_trial(record())
    recording.finish("FAILED", {})
    assert out.getvalue() == ""


def test_a_failure_later_on_is_one_warning_and_ends_the_recording(uri: str, tmp_path: Path) -> None:
    out = io.StringIO()
    recording = Recording(spec(), uri, Console(file=out, width=200))
    recording.wait_until_open()
    recording.log_report([tmp_path / "not there"])
    recording.log_report([tmp_path / "nor this"])
    recording.finish("FINISHED", {})
    assert recording.failure is not None
    assert out.getvalue().count("going on without it") == 1


def test_what_is_closed_at_once_ends_killed_and_records_no_more(uri: str) -> None:
    recording = Recording(spec(name="stopped"), uri, Console(quiet=True))
    tracker = recording.wait_until_open()
    recording.close_now("KILLED")
    recording.log_trial(record())
    recording.finish("FAILED", {"trials": 1.0})
    (run,) = MlflowClient(uri).search_runs([tracker.experiment_id])
    assert (run.info.status, run.data.metrics) == ("KILLED", {})
    assert recording.runs == (tracker.parent_id, tracker.experiment_id)


def test_an_end_that_is_told_later_does_not_count(uri: str) -> None:
    recording = Recording(spec(name="late"), uri, Console(quiet=True))
    tracker = recording.wait_until_open()
    recording.close_now("KILLED")
    tracker.finish("FINISHED", {})  # the recording's thread was at it already
    (run,) = MlflowClient(uri).search_runs([tracker.experiment_id])
    assert run.info.status == "KILLED"


def test_a_run_is_not_begun_once_it_is_to_be_closed(uri: str) -> None:
    recording = Recording(spec(name="early"), uri, Console(quiet=True))
    with recording._starting:  # MLflow is being imported: its run is about to be begun
        opening = recording.open()
        closing = Thread(target=recording.close_now, args=("KILLED",))
        closing.start()
        recording._closed = True
    with pytest.raises(TrackingError, match="was stopped before its run was opened"):
        opening.result(timeout=120)
    closing.join()
    assert MlflowClient(uri).search_runs(["0", "1"]) == []


def test_a_run_that_was_begun_is_closed_once_it_is_open(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = Event(), Event()
    start = Tracker.start

    def slowly(tracker: Tracker, foundation: Foundation | None) -> None:
        start(tracker, foundation)
        begun.set()
        go_on.wait(timeout=120)

    monkeypatch.setattr(Tracker, "start", slowly)
    recording = Recording(spec(name="between"), uri, Console(quiet=True))
    recording.open()
    assert begun.wait(timeout=120)
    closing = Thread(target=recording.close_now, args=("KILLED",))
    closing.start()
    go_on.set()
    closing.join()
    (run,) = MlflowClient(uri).search_runs([recording.runs[1]])
    assert run.info.status == "KILLED"


def test_what_was_never_opened_is_closed_without_mlflow(tmp_path: Path) -> None:
    recording = Recording(spec(), f"sqlite:///{tmp_path / 'mlflow.db'}", Console(quiet=True))
    recording.close_now("KILLED")
    recording.finish("KILLED", {})
    assert recording.runs == ("", "")
    assert list(tmp_path.iterdir()) == []


class Fading:
    """A tracker whose server goes away for some requests."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors, self.told, self.forgotten = list(errors), list[str](), 0
        self.parent_id = self.experiment_id = "1"

    def log_report(self, files: list[Path]) -> None:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.told.append(files[0].name)

    def finish(self, status: str, summary: Mapping[str, float]) -> None:
        assert not summary
        self.told.append(status)

    def forget(self) -> None:
        self.forgotten += 1


def recorded(
    monkeypatch: pytest.MonkeyPatch, tracker: Fading, uri: str = "http://127.0.0.1:9"
) -> tuple[Recording, str]:
    """Record two reports and the end with a tracker; return the recording, and what was said."""

    def opened(recording: Recording) -> Any:
        recording._tracker = cast(Any, tracker)
        return tracker

    monkeypatch.setattr(Recording, "_open", opened)
    out = io.StringIO()
    recording = Recording(spec(), uri, Console(file=out, width=400))
    for name in ("one", "two"):
        recording.log_report([Path(name)])
    recording.finish("FINISHED", {})
    return recording, out.getvalue()


AWAY = MlflowException("Max retries exceeded", INTERNAL_ERROR)
REFUSED = MlflowException("no such experiment", RESOURCE_DOES_NOT_EXIST)


def test_a_server_that_comes_back_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.tracking.recording.PAUSE", 0.01)
    tracker = Fading(AWAY, AWAY, AWAY, None, AWAY)
    recording, told = recorded(monkeypatch, tracker)
    assert recording.failure is None
    assert tracker.told == ["one", "two", "FINISHED"]
    assert tracker.forgotten == 4, "a request may have been carried out"
    assert told.count("trying again until it answers") == told.count("records again") == 2


def test_a_server_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.tracking.recording.PAUSE", 0.01)
    monkeypatch.setattr("tbar_ray.tracking.recording.OUTAGE", 0.1)
    monkeypatch.setattr("tbar_ray.tracking.recording.AT_THE_END", 0.1)
    recording, told = recorded(monkeypatch, Fading(*[AWAY] * 1000))
    assert recording.failure is not None
    assert told.count("trying again") == told.count("going on without it") == 1


@pytest.mark.parametrize(("error", "uri"), [(REFUSED, "http://127.0.0.1:9"), (AWAY, "sqlite:///mlflow.db")])
def test_what_no_patience_mends_is_given_up_at_once(
    monkeypatch: pytest.MonkeyPatch, error: Exception, uri: str
) -> None:
    recording, told = recorded(monkeypatch, Fading(error), uri)
    assert recording.failure is not None
    assert "trying again" not in told


def opening(
    monkeypatch: pytest.MonkeyPatch, making: list[Exception], starting: list[Exception]
) -> tuple[Recording, io.StringIO]:
    """A recording whose server goes away while its tracker is made, and while its run is opened."""

    class Away(Fading):
        def __init__(self, *_: object) -> None:
            super().__init__()
            if making:
                raise making.pop()

        def start(self, _: object) -> None:
            if starting:
                raise starting.pop()

    monkeypatch.setattr("tbar_ray.tracking.tracker.Tracker", Away)
    monkeypatch.setattr("tbar_ray.tracking.recording.PAUSE", 0.01)
    out = io.StringIO()
    return Recording(spec(), "http://127.0.0.1:9", Console(file=out, width=400)), out


def test_a_server_that_answered_and_is_away_when_the_run_is_opened_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recording, out = opening(monkeypatch, [UnreachableError("gone"), AWAY], [AWAY])
    for check in ("check_server", "check_experiment"):
        monkeypatch.setattr(f"tbar_ray.tracking.recording.{check}", lambda *_: None)
    recording.check()
    assert cast(Any, recording.wait_until_open()).parent_id == "1"
    assert out.getvalue().count("trying again until it answers") == out.getvalue().count("records again") == 2
    recording.finish("FINISHED", {})
    assert recording.failure is None


def test_a_server_that_never_answered_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    recording, out = opening(monkeypatch, [], [AWAY])
    with pytest.raises(TrackingError, match="Max retries exceeded"):
        recording.wait_until_open()
    with pytest.raises(UnreachableError, match="does not answer"):
        recording.check()
    assert out.getvalue() == ""

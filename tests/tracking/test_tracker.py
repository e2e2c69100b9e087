from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tbar_ray.errors import TrackingError
from tbar_ray.records.results import campaign_fingerprint
from tbar_ray.tracking.tracker import Tracker
from tests.records.records import Record, failed, infeasible, record
from tests.specs import spec

SUMMARY = {"trials": 3.0, "failed": 1.0}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all tests of this file: making its tables takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


def uri(place: Path) -> str:
    return f"sqlite:///{place / 'deep' / 'mlflow.db'}"


def launch(place: Path, name: str, records: list[Record], status: str = "FINISHED", **changes: Any) -> Tracker:
    tracker = Tracker(uri(place), place / "artifacts", spec(name=name, **changes))
    tracker.start()
    for one in records:
        tracker.log_trial(one)
    losses = [(step, 1 / (step + 1)) for step in range(1200)]
    tracker.log_training("clean-model 1234", {"losses": losses, "images_per_second": 250.0, "waiting_share": 0.125})
    tracker.finish(status, SUMMARY)
    return tracker


def runs_of(place: Path, name: str) -> tuple[list[Run], list[Run]]:
    """Return the parent and the trial runs of an experiment."""
    client = MlflowClient(uri(place))
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    return parents, [run for run in runs if run not in parents]


def test_a_campaign_and_its_trials(place: Path) -> None:
    done = record("badnets", 100, 0.5, learning_rate=1e-5)
    tracker = launch(place, "whole", [done, infeasible(size=50), failed(size=20)], "FAILED", description="in words")
    (parent,), trials = runs_of(place, "whole")
    assert parent.info.run_id == tracker.parent_id
    assert parent.info.status == "FAILED"
    assert parent.data.tags["mlflow.note.content"] == "in words"
    assert parent.data.tags["version.torch"]
    assert {name: parent.data.metrics[name] for name in SUMMARY} == SUMMARY
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {tracker.parent_id}
    states = {run.data.tags["tbar.status"]: run for run in trials}
    assert {name: run.info.status for name, run in states.items()} == {
        "done": "FINISHED", "infeasible": "FINISHED", "failed": "FAILED",
    }  # fmt: skip
    assert states["failed"].data.tags["tbar.reason"].startswith("attack did not take")
    assert "alpha" not in states["infeasible"].data.params
    assert states["done"].data.params == {
        "attack": "badnets", "planting": "standard", "trigger": "badnets", "target": "red square",
        "method": "tbar", "forget_size": "100",
        "clean_fraction": "0.5", "alpha": str(done["alpha"]), "poisoning_rate": "0.01", "seed": "0",
        "learning_rate": "1e-05",
    }  # fmt: skip
    metrics = states["done"].data.metrics
    for name in ("ca", "asr", "pa", "ca_infected", "asr_infected", "ca_clean", "seconds"):
        assert metrics[name] == done[name]
    assert metrics["retention"] == done["ca_retention"]
    assert "ca" not in states["infeasible"].data.metrics
    assert states["failed"].data.metrics["asr_infected"] == failed()["asr_infected"]


def test_the_path_is_stepped_by_alpha(place: Path) -> None:
    done = record(alphas=(0.0, 0.05, 1.25))
    launch(place, "stepped", [done])
    client = MlflowClient(uri(place))
    _, (run,) = runs_of(place, "stepped")
    for name, source in (("ca", "ca"), ("asr", "asr"), ("pa", "pa"), ("retention", "ca_retention")):
        history = sorted(client.get_metric_history(run.info.run_id, f"validation.{name}"), key=lambda m: m.step)
        assert [(m.step, m.value) for m in history] == [
            (step, point[source]) for step, point in zip((0, 50, 1250), done["path"], strict=True)
        ]


def test_of_a_model_without_clean_accuracy_no_retention_is_logged(place: Path) -> None:
    done = record(alphas=(0.0, 1.0), ca_retention=None)
    for point in done["path"]:
        point["ca_retention"] = None
    launch(place, "useless", [done])
    _, (run,) = runs_of(place, "useless")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["ca"] == done["ca"]
    assert not [name for name in run.data.metrics if "retention" in name]


def test_a_long_path_exceeds_no_limit(place: Path) -> None:
    launch(place, "long", [record(alphas=tuple(i / 100 for i in range(300)))])
    _, (run,) = runs_of(place, "long")
    history = MlflowClient(uri(place)).get_metric_history(run.info.run_id, "validation.asr")
    assert len(history) == 300


def test_twice_the_same_is_once(place: Path) -> None:
    records = [record(size=10), failed(size=20), infeasible(size=30)]
    first = launch(place, "twice", records)
    client = MlflowClient(uri(place))
    before = client.get_metric_history(first.parent_id, "loss/clean-model 1234")
    second = launch(place, "twice", records)
    assert second.parent_id == first.parent_id
    (parent,), trials = runs_of(place, "twice")
    assert len(trials) == 3
    assert parent.data.tags["tbar.launches"] == "2"
    assert parent.info.status == "FINISHED"
    speeds = ("images_per_second/clean-model 1234", "waiting_share/clean-model 1234")
    assert [parent.data.metrics[name] for name in speeds] == [250.0, 0.125]
    assert all(len(client.get_metric_history(first.parent_id, name)) == 1 for name in speeds)
    assert len(client.get_metric_history(first.parent_id, "loss/clean-model 1234")) == len(before) == 1200
    for run in trials:
        for name in run.data.metrics:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
            assert len(steps) == len(set(steps))


def test_a_failed_trial_that_succeeds_later_is_the_same_run(place: Path) -> None:
    launch(place, "mended", [failed(size=20)], "FAILED")
    _, (before,) = runs_of(place, "mended")
    done = {**record(size=20), "fingerprint": failed(size=20)["fingerprint"]}
    launch(place, "mended", [done])
    (parent,), (after,) = runs_of(place, "mended")
    assert after.info.run_id == before.info.run_id
    assert (before.info.status, after.info.status, parent.info.status) == ("FAILED", "FINISHED", "FINISHED")
    assert after.data.tags["tbar.status"] == "done"
    assert after.data.tags["tbar.reason"] == ""
    assert after.data.params["alpha"] == str(done["alpha"])
    assert after.data.metrics["asr"] == done["asr"]


def test_another_spec_is_another_parent(place: Path) -> None:
    one, other = launch(place, "specs", [record()]), launch(place, "specs", [record()], seed=3)
    assert one.experiment_id == other.experiment_id
    parents, trials = runs_of(place, "specs")
    assert len(parents) == 2
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {one.parent_id, other.parent_id}
    expected = {campaign_fingerprint(spec(name="specs")), campaign_fingerprint(spec(name="specs", seed=3))}
    assert {run.data.tags["tbar.fingerprint"] for run in parents} == expected
    same = launch(place, "specs", [], resources={"gpus": 1, "readers": 9}, description="only words")
    assert same.parent_id == one.parent_id


def test_artifacts_lie_where_they_were_put(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tracker = Tracker(uri(place), Path("relative"), spec(name="files"))
    tracker.start()
    report = tmp_path / "report.md"
    report.write_text("# report")
    tracker.log_report([report])
    tracker.log_trial(record())
    experiment = MlflowClient(uri(place)).get_experiment(tracker.experiment_id)
    assert experiment.artifact_location == f"file://{tmp_path}/relative/files"
    files = {str(file.relative_to(tmp_path / "relative")) for file in (tmp_path / "relative").rglob("*.*")}
    _, (trial,) = runs_of(place, "files")
    assert files == {
        f"files/{tracker.parent_id}/artifacts/spec.json",
        f"files/{tracker.parent_id}/artifacts/report/report.md",
        f"files/{trial.info.run_id}/artifacts/trial.json",
    }
    kept = tmp_path / "relative" / "files" / trial.info.run_id / "artifacts" / "trial.json"
    assert json.loads(kept.read_text())["fingerprint"] == record()["fingerprint"]


def refusal(address: str) -> str:
    started = time.monotonic()
    with pytest.raises(TrackingError) as caught:
        Tracker(address, None, spec())
    assert time.monotonic() - started < 15
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_server_that_does_not_answer() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    message = refusal(address)
    assert message.startswith(f"MLflow tracking server {address} does not answer (")
    assert "Connection refused" in message


def test_a_database_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "File exists" in refusal(f"sqlite:///{tmp_path}/file/mlflow.db")
    assert "unable to open database file" in refusal(f"sqlite:///{tmp_path}")
    (tmp_path / "notes.txt").write_text("not a database " * 100)
    assert "file is not a database" in refusal(f"sqlite:///{tmp_path}/notes.txt")


def test_an_unknown_kind_of_server() -> None:
    assert refusal("foo://x").startswith("MLflow at foo://x: ")


def test_what_only_some_campaigns_measure_is_logged_too(tmp_path: Path) -> None:
    import math

    from tbar_ray.tracking.tracker import _metrics

    found = {
        metric.key: metric.value
        for metric in _metrics(
            record(
                source="blended",
                alpha_sensitivity={"width": 1.5},
                disentanglement={"at_planted": 0.25, "at_negated": None},
                caption_asr_infected=0.75,
            ),
            now=0,
        )
    }
    assert (found["alpha_width"], found["xi_planted"], found["caption_asr_infected"]) == (1.5, 0.25, 0.75)
    assert "xi_negated" not in found
    assert "caption_asr" not in found
    assert not any(math.isnan(value) for value in found.values())

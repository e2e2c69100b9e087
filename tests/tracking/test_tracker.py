from __future__ import annotations

import json
import math
import multiprocessing
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from tbar_ray import __version__
from tbar_ray.errors import TrackingError
from tbar_ray.planning.planner import Planner, campaign_fingerprint
from tbar_ray.records.record import TrialRecord
from tbar_ray.tracking.places import PASSWORD, TOKEN, USER, check_experiment
from tbar_ray.tracking.run_metrics import metrics_of
from tbar_ray.tracking.run_parameters import parameters_of
from tbar_ray.tracking.system_metrics import metrics_of_process
from tbar_ray.tracking.tracker import Tracker
from tests.records.records import (
    curve_of,
    error_map,
    failed,
    flat,
    gated,
    geometry,
    grown,
    infeasible,
    masked,
    rate,
    rebounding,
    record,
    retrieved,
    scores,
    seen,
)
from tests.specs import spec
from tests.waiting import wait_until

KINDS = ("campaign", "trial", "training")
SUMMARY = {"trials": 3.0, "failed": 1.0}
TRAINING: dict[str, Any] = {
    "name": "clean-model-1234", "kind": "clean-model", "fingerprint": "1234", "title": "pretrain (seed 0)",
    "seconds": 60.0, "ended": 1_790_000_060.0, "cpus": 4, "threads": 2, "gpus": 1, "architecture": "tbar-RN-tiny",
    "identity": {"training": {"epochs": 3, "optimisation": {"learning_rate": 1e-3}}},
    "facts": {
        "training": {
            "losses": [(step, 1 / (step + 1)) for step in range(1200)], "images_per_second": 250.0,
            "waiting_share": 0.125, "samples": 900,
        }
    },
    "process": {
        "seconds": [2.0, 6.0], "cpu_seconds": [1.0, 7.0], "memory": [3 * 10**8, 4 * 10**8],
        "gpu_memory": [None, 2 * 10**9], "gpu_utilisation": [None, 0.95],
    },
}  # fmt: skip
"""The facts of a training that trials share, as its commit says them."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for all tests of this file: making its tables takes seconds."""
    return tmp_path_factory.mktemp("mlflow")


def uri(place: Path) -> str:
    return f"sqlite:///{place / 'deep' / 'mlflow.db'}"


def launch(place: Path, name: str, records: Sequence[TrialRecord], status: str = "FINISHED", **changes: Any) -> Tracker:
    tracker = Tracker(uri(place), place / "artifacts", spec(name=name, **changes))
    tracker.start()
    for one in records:
        tracker.log_trial(one)
    tracker.log_training(TRAINING)
    tracker.finish(status, SUMMARY)
    return tracker


def runs_of(place: Path, name: str) -> tuple[list[Run], list[Run]]:
    """Return the parent and the trial runs of an experiment."""
    kinds = {kind: [run for run in all_runs(place, name) if run.data.tags["tbar.kind"] == kind] for kind in KINDS}
    return kinds["campaign"], kinds["trial"]


def all_runs(place: Path, name: str) -> list[Run]:
    client = MlflowClient(uri(place))
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def training_of(place: Path, name: str) -> Run:
    """Return the only training run of an experiment."""
    (run,) = (run for run in all_runs(place, name) if run.data.tags["tbar.kind"] == "training")
    return run


def test_a_campaign_and_its_trials(place: Path) -> None:
    done = record("badnets", 100, 0.5, axes={"learning_rate": 1e-5, "model.training.epochs": 3})
    tracker = launch(place, "whole", [done, infeasible(size=50), failed(size=20)], "FAILED", description="in words")
    (parent,), trials = runs_of(place, "whole")
    assert parent.info.run_id == tracker.parent_id
    assert parent.info.status == "FAILED"
    assert parent.data.tags["mlflow.note.content"] == "in words"
    assert parent.data.tags["version.torch"]
    assert parent.data.tags["version.tbar-ray"] == __version__
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
        "clean_fraction": "0.5", "alpha": str(done.alpha), "poisoning_rate": "0.01", "seed": "0",
        "learning_rate": "1e-05", "model.training.epochs": "3", "n.ca": "1200", "n.asr": "1180", "n.pa": "1200",
    }  # fmt: skip
    metrics = states["done"].data.metrics
    for name in ("ca", "asr", "pa"):
        assert metrics[name] == done.value(name)
        assert metrics[f"{name}_infected"] == done.value(name, "infected")
    assert metrics["ca_clean"] == done.value("ca", "clean")
    assert metrics["seconds"] == done.seconds
    assert metrics["retention"] == done.ca_retention
    assert "ca" not in states["infeasible"].data.metrics
    assert states["failed"].data.metrics["asr_infected"] == failed().value("asr", "infected")


def test_the_path_is_logged_with_its_alpha_and_apart_from_what_was_chosen(place: Path) -> None:
    done = record(alphas=(0.0, 0.05, 1.25))
    launch(place, "stepped", [done])
    client = MlflowClient(uri(place))
    _, (run,) = runs_of(place, "stepped")
    names = {"alpha": "alpha", "ca": "ca", "asr": "asr", "pa": "pa", "retention": "ca_retention"}
    for name, source in names.items():
        history = sorted(client.get_metric_history(run.info.run_id, f"path.{name}"), key=lambda m: m.step)
        assert [(m.step, m.value) for m in history] == [
            (step, getattr(point, source)) for step, point in enumerate(done.path)
        ]
    chosen = done.selected_point
    assert chosen is not None
    assert chosen.alpha < done.path[-1].alpha, "else nothing tells the chosen from the last"
    found = {name: run.data.metrics[f"selected.{name}"] for name in names}
    assert found == {name: getattr(chosen, source) for name, source in names.items()}


def test_a_run_lasts_as_long_as_its_trial_and_ends_when_it_did(place: Path) -> None:
    launch(place, "lasting", [record(seconds=12.5, ended=1_790_000_000.0), failed(size=20)])
    _, trials = runs_of(place, "lasting")
    times = {run.data.tags["tbar.status"]: (run.info.start_time, run.info.end_time) for run in trials}
    assert times["done"] == (1_789_999_987_500, 1_790_000_000_000)
    assert times["failed"][0] == times["failed"][1]


def test_intervals_are_metrics_and_numbers_of_images_parameters() -> None:
    done = record()
    asr = done.rate("asr")
    assert asr is not None
    found = {metric.key: metric.value for metric in metrics_of(done, now=0)}
    assert (found["asr_low"], found["asr"], found["asr_high"]) == (asr.low, asr.value, asr.high)
    assert parameters_of(done)["n.asr"] == str(asr.n)
    assert not {"asr_low", "ca_high"} & {metric.key for metric in metrics_of(infeasible(), now=0)}


def test_with_its_plan_a_trial_has_all_that_its_spec_resolves_to(place: Path) -> None:
    axes = {"attack": ["badnets"], "forget_size": [20]}
    made = spec(name="resolved", methods={"tbar": {"parameters": {"steps": 7}}}, search__axes=axes)
    (planned,) = Planner(made).grid()
    told = parameters_of(record(), planned)
    assert (told["model.architecture"], told["evaluation.min_retention"]) == ("tbar-RN-tiny", "0.95")
    assert (told["method.steps"], told["search.objective"], told["forget.size"]) == ("7", "asr", "20")
    assert float(told["method.learning_rate"]) > 0, "the method's own default"
    assert not [name for name in told if name.startswith(("name", "description", "resources"))]
    tracker = Tracker(uri(place), place / "artifacts", made)
    tracker.start()
    tracker.log_trial(record(), planned)
    _, (run,) = runs_of(place, "resolved")
    assert run.data.params == told


def test_the_parent_has_its_spec_its_data_and_where_it_comes_from(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/bin/tbar", "campaign", "run", "spec.yaml", "--set", "s=http://me:S3CRET@h"])
    methods = {f"m{number}": {"method": "tbar", "parameters": {"steps": number}} for number in range(1, 80)}
    axes = {"attack": ["badnets"], "forget_size": [10, 20]}
    made = spec(name="told", description="in words", methods=methods, search__axes=axes)
    for _ in range(2):  # a second launch changes no parameter
        tracker = Tracker(uri(place), place / "artifacts", made)
        tracker.start(Planner(made).foundation())
    (parent,), _ = runs_of(place, "told")
    told = parent.data.params
    assert told["model.architecture"] == "tbar-RN-tiny"
    assert told["search.axes.forget_size"] == "[10, 20]"
    assert told["methods.m79.parameters.steps"] == "79", "more than one request takes"
    data = {(each.tags[0].value, each.dataset.name) for each in parent.inputs.dataset_inputs}
    assert data == {("training", "corpus of 400 scenes"), ("evaluation", "evaluation set, 2 a class")}
    assert parent.data.tags["mlflow.source.name"].startswith("tbar campaign run spec.yaml")
    assert "S3CRET" not in parent.data.tags["mlflow.source.name"]
    assert parent.data.tags["mlflow.user"]
    experiment = MlflowClient(uri(place)).get_experiment(tracker.experiment_id)
    assert experiment.tags["mlflow.note.content"] == "in words"
    view = json.loads(experiment.tags[f"mlflow.sharedViewState.{campaign_fingerprint(made)}"])
    assert view["selectedColumns"][:2] == ["params.`forget_size`", "metrics.`asr`"]


def test_system_metrics_are_measured_where_mlflow_is_told_to(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    tracker = Tracker(uri(place), place / "artifacts", spec(name="measured"))
    tracker.start()
    client = MlflowClient(uri(place))
    wait_until(lambda: "system/cpu_utilization_percentage" in client.get_run(tracker.parent_id).data.metrics)
    tracker.finish("FINISHED", {})
    assert client.get_run(tracker.parent_id).info.status == "FINISHED"
    assert not [thread for thread in threading.enumerate() if thread.name == "SystemMetricsMonitor"]


def test_a_run_that_is_complete_is_left_alone_and_one_that_failed_is_written_anew(place: Path) -> None:
    launch(place, "left", [record(), failed(size=20)])
    _, before = runs_of(place, "left")
    client = MlflowClient(uri(place))
    for run in before:
        client.set_tag(run.info.run_id, "tbar.reason", "said by a reader")
    launch(place, "left", [record(), record(size=20)])
    _, after = runs_of(place, "left")
    assert {run.info.run_id for run in after} == {run.info.run_id for run in before}
    told = {run.data.params["forget_size"]: run.data.tags["tbar.reason"] for run in after}
    assert told == {str(record().settings["forget_size"]): "said by a reader", "20": ""}


def test_a_shared_training_is_a_run_of_its_own(place: Path) -> None:
    tracker = launch(place, "trained", [record()])
    run = training_of(place, "trained")
    assert run.info.run_name == "pretrain (seed 0)"
    assert run.data.tags["mlflow.parentRunId"] == tracker.parent_id
    assert (run.info.start_time, run.info.end_time) == (1_790_000_000_000, 1_790_000_060_000)
    assert {name: run.data.metrics[name] for name in ("images_per_second", "waiting_share", "seconds")} == {
        "images_per_second": 250.0, "waiting_share": 0.125, "seconds": 60.0,
    }  # fmt: skip
    assert run.data.params["training.optimisation.learning_rate"] == "0.001"
    assert len(MlflowClient(uri(place)).get_metric_history(run.info.run_id, "loss")) == 1200


def test_a_training_tells_its_process_over_time_and_one_of_an_earlier_version_does_not(place: Path) -> None:
    launch(place, "sampled", [record()])
    run, client = training_of(place, "sampled"), MlflowClient(uri(place))
    began = run.info.start_time
    expected = {
        "cpu_utilization_percentage": [(2000, 0, 25.0), (6000, 1, 75.0)],
        "system_memory_usage_megabytes": [(2000, 0, 300.0), (6000, 1, 400.0)],
        "gpu_0_memory_usage_megabytes": [(6000, 1, 2000.0)],
        "gpu_0_utilization_percentage": [(6000, 1, 95.0)],
    }
    for name, points in expected.items():
        history = client.get_metric_history(run.info.run_id, f"system/{name}")
        assert sorted((point.timestamp - began, point.step, point.value) for point in history) == points
    told = {name: value for name, value in TRAINING.items() if name != "process"}
    assert metrics_of_process(told, began) == []


def test_a_cleaned_model_is_an_output_of_its_trial_and_has_its_scores(place: Path, tmp_path: Path) -> None:
    (tmp_path / "cleaned.safetensors").write_bytes(b"weights")
    done = record("badnets/lattice")
    tracker = launch(place, "modelled", [done])
    assert tracker.without_model([done]) == [done]
    tracker.log_model(done, tmp_path)
    assert tracker.without_model([done]) == []
    client = MlflowClient(uri(place))
    _, (run,) = runs_of(place, "modelled")
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert (model.name, model.status, model.source_run_id) == (
        "badnets-lattice cleaned by tbar", "READY", run.info.run_id,
    )  # fmt: skip
    assert {metric.key: metric.value for metric in model.metrics or ()}["asr"] == done.value("asr")
    (file,) = client.list_logged_model_artifacts(model.model_id)
    assert file.path == "cleaned.safetensors"


def test_of_a_model_without_clean_accuracy_no_retention_is_logged(place: Path) -> None:
    found = record(alphas=(0.0, 1.0))
    useless = found.infected.model_copy(update={"ca": rate(0)}) if found.infected else None
    path = tuple(point.model_copy(update={"ca_retention": None}) for point in found.path)
    done = found.model_copy(update={"path": path, "infected": useless})
    launch(place, "useless", [done])
    _, (run,) = runs_of(place, "useless")
    assert run.info.status == "FINISHED"
    assert run.data.metrics["ca"] == done.value("ca")
    assert not [name for name in run.data.metrics if "retention" in name]


def test_a_long_path_exceeds_no_limit(place: Path) -> None:
    launch(place, "long", [record(alphas=tuple(i / 100 for i in range(300)))])
    _, (run,) = runs_of(place, "long")
    history = MlflowClient(uri(place)).get_metric_history(run.info.run_id, "path.asr")
    assert len(history) == 300


def test_twice_the_same_is_once(place: Path) -> None:
    records = [record(size=10), failed(size=20), infeasible(size=30)]
    first = launch(place, "twice", records)
    client = MlflowClient(uri(place))
    training = training_of(place, "twice")
    before = client.get_metric_history(training.info.run_id, "loss")
    second = launch(place, "twice", records)
    assert second.parent_id == first.parent_id
    (parent,), trials = runs_of(place, "twice")
    assert len(trials) == 3
    assert parent.data.tags["tbar.launches"] == "2"
    assert parent.info.status == "FINISHED"
    assert training_of(place, "twice").info.run_id == training.info.run_id
    assert len(client.get_metric_history(training.info.run_id, "loss")) == len(before) == 1200
    for run in trials:
        for name in run.data.metrics:
            steps = [m.step for m in client.get_metric_history(run.info.run_id, name)]
            assert len(steps) == len(set(steps))


def test_launches_of_one_campaign_at_a_time_share_a_run_that_the_last_one_closes(place: Path) -> None:
    one, other = (Tracker(uri(place), place / "artifacts", spec(name="shares")) for _ in range(2))
    one.start()
    other.start()
    one.log_trial(record(size=10))
    one.finish(None, {"trials": 1.0})
    (parent,), _ = runs_of(place, "shares")
    assert parent.info.status == "RUNNING"
    other.log_trial(record(size=20))
    other.finish("FINISHED", {"trials": 2.0})
    (parent,), trials = runs_of(place, "shares")
    assert (parent.info.status, parent.data.metrics["trials"]) == ("FINISHED", 2.0)
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {one.parent_id} == {other.parent_id}
    assert len(trials) == 2


def test_a_failed_trial_that_succeeds_later_is_the_same_run(place: Path) -> None:
    launch(place, "fixed", [failed(size=20)], "FAILED")
    _, (before,) = runs_of(place, "fixed")
    done = record(size=20)
    assert done.fingerprint == failed(size=20).fingerprint
    launch(place, "fixed", [done])
    (parent,), (after,) = runs_of(place, "fixed")
    assert after.info.run_id == before.info.run_id
    assert (before.info.status, after.info.status, parent.info.status) == ("FAILED", "FINISHED", "FINISHED")
    assert after.data.tags["tbar.status"] == "done"
    assert after.data.tags["tbar.reason"] == ""
    assert after.data.params["alpha"] == str(done.alpha)
    assert after.data.metrics["asr"] == done.value("asr")


def test_resuming_finds_runs_beyond_the_first_page(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.tracking.tracker.RUNS_AT_ONCE", 2)
    records = [record(size=size, alphas=(1.0,)) for size in range(10, 15)]
    launch(place, "pages", records)
    launch(place, "pages", records)
    _, trials = runs_of(place, "pages")
    assert len(trials) == 5


def test_a_run_that_was_cut_off_is_completed_and_holds_nothing_twice(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = record(alphas=(0.0, 1.0))
    with monkeypatch.context() as patched:
        patched.setattr("tbar_ray.tracking.run_writer.get_artifact_repository", interrupted)
        with pytest.raises(KeyboardInterrupt):
            launch(place, "cut", [done])
    _, (before,) = runs_of(place, "cut")
    assert before.info.status == "RUNNING"
    time.sleep(0.01)  # another millisecond, by which MLflow would tell a value from the same one
    launch(place, "cut", [done])
    _, (after,) = runs_of(place, "cut")
    assert (after.info.run_id, after.info.status) == (before.info.run_id, "FINISHED")
    client = MlflowClient(uri(place))
    for name in ("asr", "path.asr"):
        steps = [metric.step for metric in client.get_metric_history(after.info.run_id, name)]
        assert len(steps) == len(set(steps)) == (2 if name.startswith("path") else 1)


def interrupted(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def test_a_trial_asks_nothing_that_is_known(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand trials are a thousand times each request."""
    asked: list[str] = []
    for name in ("create_run", "log_batch", "get_run", "set_tag", "log_param", "log_metric", "get_experiment"):
        call = getattr(SqlAlchemyStore, name)
        monkeypatch.setattr(SqlAlchemyStore, name, lambda *a, _n=name, _c=call, **k: (asked.append(_n), _c(*a, **k))[1])
    tracker = Tracker(uri(place), place / "artifacts", spec(name="asked"))
    tracker.start()
    tracker.log_trial(record(size=1))
    asked.clear()
    done = record(size=2)
    tracker.log_trial(done)
    assert asked == ["create_run", "get_experiment", "log_batch"]
    _, trials = runs_of(place, "asked")
    (run,) = (run for run in trials if run.data.tags["tbar.fingerprint"] == done.fingerprint)
    assert run.data.tags["tbar.status"] == "done"
    path = MlflowClient(uri(place)).download_artifacts(run.info.run_id, "trial.json")
    assert TrialRecord.model_validate(json.loads(Path(path).read_text())) == done


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
    assert json.loads(kept.read_text())["fingerprint"] == record().fingerprint


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


def test_what_only_some_campaigns_measure_is_logged_too() -> None:
    done = record(
        source="blended",
        alpha_sensitivity=flat(0.5, 2.0),
        disentanglement=error_map(),
        retrieval={"infected": retrieved(0.5)},
    )
    found = {metric.key: metric.value for metric in metrics_of(done, now=0)}
    assert (found["alpha_width"], found["xi_planted"]) == (1.5, 0.5)
    assert found["image_to_text_at_1_infected"] == 0.5
    assert found["caption_asr_infected"] == pytest.approx(0.05)
    assert "xi_negated" not in found
    assert "caption_asr" not in found
    assert not found.keys() & {"gradient_overlap", "pretraining_samples"}
    maps = error_map(at_equal_length=0.3, geometry=geometry(0.4, 0.03, -0.2))
    found = {metric.key: metric.value for metric in metrics_of(grown(disentanglement=maps), 0)}
    names = ("xi_equal_length", "cosine_towards_target", "trigger_relative_length", "gradient_overlap")
    assert [found[name] for name in names] == [0.3, 0.4, 0.03, -0.2]
    assert found["pretraining_samples"] == 40_000


def test_rebound_is_logged_in_figures_and_along_its_steps() -> None:
    made = record(rebounds=(rebounding(curve_of(0.0, 0.3, 0.6, 0.4)),), downstream={"wise-ft": scores(0.85, 0.5, 0.3)})
    logged = metrics_of(made, now=0)
    found = {metric.key: metric.value for metric in logged}
    assert (found["rebound_highest"], found["rebound_revival"], found["rebound_eligible"]) == (0.6, 20, 1)
    assert found["asr_wise_ft"] == 0.5
    assert [(m.step, m.value) for m in logged if m.key == "rebound.asr"] == [(0, 0), (10, 0.3), (20, 0.6), (30, 0.4)]
    assert not any(metric.key.startswith("rebound") for metric in metrics_of(record(), now=0))
    without = {metric.key for metric in metrics_of(infeasible(rebounds=(rebounding(None),)), now=0)}
    assert "rebound_highest_infected" in without
    assert "rebound_highest" not in without


def test_scores_with_both_statistics_are_logged_where_models_have_any() -> None:
    assert not [m.key for m in metrics_of(record(), now=0) if "as_applied" in m.key or "masked" in m.key]
    made = masked()
    logged = metrics_of(made, now=0)
    found = {metric.key: metric.value for metric in logged}
    assert found["asr_as_applied"] == made.value("asr", "as_applied")
    assert found["asr_masked"] == made.asr_masked
    path = [(m.step, m.value) for m in logged if m.key == "path.asr_as_applied"]
    assert path == [(step, p.as_applied.asr.value) for step, p in enumerate(made.path) if p.as_applied is not None]
    assert len(path) == len(made.path)
    assert parameters_of(made)["statistics"] == "reestimated"
    assert "statistics" not in parameters_of(record())


def test_visibility_is_logged_where_it_is_known_and_finite() -> None:
    found = {metric.key: metric.value for metric in metrics_of(failed(visibility=seen(25.5), gate=gated(0.3)), now=0)}
    assert (found["psnr"], found["ssim"], found["gate.asr"]) == (25.5, 0.9, 0.3)
    unchanged = {metric.key for metric in metrics_of(record(visibility=seen(None)), now=0)}
    assert "ssim" in unchanged
    assert "psnr" not in unchanged
    assert not {"psnr", "ssim", "gate.asr"} & {metric.key for metric in metrics_of(record(), now=0)}


def test_what_is_no_number_is_left_out() -> None:
    done = record(seconds=math.nan)
    found = [metric.key for metric in metrics_of(done, now=0)]
    assert "seconds" not in found
    assert "ca" in found


def test_every_axis_is_a_parameter() -> None:
    axes = {"model.training.epochs": 3, "attacks.badnets.parameters.patch_size": 16, "tbar.objective": "ce"}
    told = parameters_of(record(seed=4, source="blended", axes=axes))
    assert {name: told[name] for name in axes} == {name: str(value) for name, value in axes.items()}
    assert (told["seed"], told["method"], told["source"]) == ("4", "tbar", "blended")
    assert "source" not in parameters_of(record())


def test_deleting_the_parent_doubles_no_trial(place: Path) -> None:
    records = [record(size=10), record(size=20)]
    first = launch(place, "orphans", records)
    client = MlflowClient(uri(place))
    _, before = runs_of(place, "orphans")
    client.delete_run(first.parent_id)
    second = launch(place, "orphans", records)
    assert second.parent_id != first.parent_id
    (parent,), after = runs_of(place, "orphans")
    assert parent.info.run_id == second.parent_id
    assert {run.info.run_id for run in after} == {run.info.run_id for run in before}
    assert {run.data.tags["mlflow.parentRunId"] for run in after} == {second.parent_id}


def test_runs_that_were_doubled_are_one_after_the_next_launch(place: Path) -> None:
    first = launch(place, "doubled", [record()])
    client = MlflowClient(uri(place))
    (parent,), (trial,) = runs_of(place, "doubled")
    for run in (parent, trial):
        wanted = {name: value for name, value in run.data.tags.items() if not name.startswith("mlflow.")}
        if run is trial:
            wanted["mlflow.parentRunId"] = first.parent_id
        client.create_run(first.experiment_id, tags=wanted)
    launch(place, "doubled", [record()])
    (kept,), (only,) = runs_of(place, "doubled")
    assert (kept.info.run_id, only.info.run_id) == (parent.info.run_id, trial.info.run_id)


def opened(place: str) -> str:
    """Open a campaign's run, and return its id."""
    tracker = Tracker(place, None, spec(name="same"))
    tracker.start()
    return tracker.parent_id


def test_a_new_database_opened_by_several_at_once_is_whole_and_has_one_parent(tmp_path: Path) -> None:
    place, several = f"sqlite:///{tmp_path}/new/mlflow.db", 3
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])  # what takes seconds to import is imported once for all of them
    with ProcessPoolExecutor(several, mp_context=forks) as pool:
        told = list(pool.map(opened, [place] * several, timeout=200))
    assert len(set(told)) == 1
    client = MlflowClient(place)
    experiment = client.get_experiment_by_name("same")
    assert experiment is not None
    assert [run.info.run_id for run in client.search_runs([experiment.experiment_id])] == [told[0]]


def test_a_deleted_experiment_is_one_line_with_the_ways_out(place: Path) -> None:
    tracker = launch(place, "gone", [])
    check_experiment(uri(place), "gone")
    check_experiment(uri(place), "never there")
    MlflowClient(uri(place)).delete_experiment(tracker.experiment_id)
    messages = []
    for attempt in (
        lambda: Tracker(uri(place), None, spec(name="gone")),
        lambda: check_experiment(uri(place), "gone"),
    ):
        with pytest.raises(TrackingError) as caught:
            attempt()
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "\n" not in messages[0]
    for words in ("'gone'", "mlflow experiments restore", "mlflow gc", "--set name="):
        assert words in messages[0]


def test_without_git_there_is_no_commit_in_the_tags(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(place))
    launch(place, "no-git", [])
    (parent,), _ = runs_of(place, "no-git")
    assert "mlflow.source.git.commit" not in parent.data.tags
    assert "version.python" in parent.data.tags


class Guarded(BaseHTTPRequestHandler):
    """A tracking server that answers `user` with the password `p@ss:word` only."""

    expected = "Basic " + b64encode(b"user:p@ss:word").decode()

    def do_GET(self) -> None:
        allowed = self.headers.get("Authorization") == self.expected
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(b'{"experiment": {"experiment_id": "7", "name": "guarded"}}')

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The host and port of such a server."""
    for name in (USER, PASSWORD, TOKEN):
        monkeypatch.setenv(name, "")  # so that what a test sets is taken away again
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_user_and_password_in_the_uri_are_sent_and_not_said(guarded: str) -> None:
    tracker = Tracker(f"http://user:p%40ss:word@{guarded}/", None, spec(name="guarded"))
    assert (tracker.experiment_id, tracker.uri) == ("7", f"http://{guarded}/")


def test_a_refusal_does_not_say_the_password(guarded: str) -> None:
    with pytest.raises(TrackingError, match="401") as caught:
        Tracker(f"http://user:secret@{guarded}", None, spec(name="guarded"))
    assert "secret" not in str(caught.value)


def test_nothing_that_is_recorded_holds_a_secret(place: Path) -> None:
    url = "https://host/{00000..00003}.tar?se=2030&sig=S3CRET"
    data = {"train": [{"url": url}], "evaluation": "http://me:S3CRET@host/eval"}
    launch(place, "secrets", [], data=data, description=f"from {url}")
    (parent,), _ = runs_of(place, "secrets")
    client = MlflowClient(uri(place))
    text = Path(client.download_artifacts(parent.info.run_id, "spec.json", str(place))).read_text()
    assert "https://host/{00000..00003}.tar?***" in text
    assert "S3CRET" not in text + json.dumps(parent.to_dictionary())

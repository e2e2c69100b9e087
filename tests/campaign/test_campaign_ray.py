"""A whole campaign on a real local Ray, with real shards and a real MLflow, as small as it gets."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from mlflow import MlflowClient
from rich.console import Console

from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.campaign.scope import Scope
from tbar_ray.campaign.trials import Trials
from tbar_ray.cli.main import main
from tbar_ray.errors import TrackingError
from tbar_ray.execution.budget import Budget
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.share import Share
from tbar_ray.records.account import total_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.poison import EXAMPLES
from tbar_ray.store.commit import COMMIT
from tbar_ray.store.store import Store
from tests.specs import spec
from tests.stages.computing import compute_trial

# a fixture of a module, as the first launch, comes before: its pictures are drawn
pytestmark = [pytest.mark.ray, pytest.mark.timeout(600), pytest.mark.usefixtures("without_figures")]

TRAINING = {"epochs": 1, "batch_size": 32, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
METRICS = ("ca", "asr", "pa")
BOTH = ["badnets", "blended"]


def small(**changes: Any) -> CampaignSpec:
    settings: dict[str, Any] = {
        "data": {"synthetic": {"samples": 240, "size": 64, "per_class": 2, "samples_per_shard": 60}},
        "model": {"architecture": "tbar-RN-pico", "training": TRAINING},
        "poison": {
            "rate": 0.1, "pairs": 120, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": TRAINING,
        },
        "forget": {"size": 8},
        "alpha": [0, 1, 2],
        "evaluation": {"min_retention": 0, "validation_fraction": 0.5},
        "unlearning": {"method": "tbar", "parameters": {"steps": 2, "batch_size": 8}},
        "search": {"axes": {"attack": BOTH, "forget_size": [8, 16]}, "concurrency": 2},
        "resources": {"training_cpus": 1, "readers": 1},
    }  # fmt: skip
    settings.update(changes)
    # every trial in flight and every reader is a process of its own, whose start costs a second of a core
    settings["search"] = {"concurrency": 1, **settings["search"]}
    return spec(**settings)


def start(made: CampaignSpec, folder: Path, store: Path | None = None, budget: Budget | None = None) -> Launch:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    opened, console = Store(str(store or folder / "store")), Console(quiet=True)
    return launch(made, opened, uri, folder / "report", "local", console, budget=budget)


def metrics(records: Sequence[TrialRecord]) -> list[Any]:
    """What must not depend on time, readers or the machine's load."""
    return [(r.fingerprint, r.alpha, r.path, r.removed, r.infected, r.clean) for r in records]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Path:
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def first(home: Path) -> Launch:
    return start(small(), home)


def commits(home: Path) -> dict[str, float]:
    return {str(f.parent.name): f.stat().st_mtime for f in (home / "store" / "artifacts").glob(f"*/{COMMIT}")}


def test_results_have_every_field(first: Launch) -> None:
    rows = json.loads((first.report / "results.json").read_text())
    assert isinstance(rows, list)
    assert len(rows) == 4
    for row in rows:
        assert row["status"] == "done"
        for field in ("attack", "target", "method", "forget_size", "clean_fraction", "alpha", "seed", "split"):
            assert row[field] is not None
        for metric in METRICS:
            for suffix in ("", "_infected", "_clean"):
                value = row[f"{metric}{suffix}"]
                assert row[f"{metric}{suffix}_low"] <= value <= row[f"{metric}{suffix}_high"]
                assert row[f"{metric}{suffix}_n"] in (60, 59)
        assert row["ca_retention"] == pytest.approx(row["ca"] / row["ca_infected"])
        assert row["seconds"] > 0
        assert [point["alpha"] for point in row["path"]] == [0, 1, 2]
        # forget sets are smaller than the 960 images that are asked for
        assert (row["statistics"], row["statistics_images"]) == ("reestimated", row["forget_size"])
        assert row["asr_masked"] == pytest.approx(row["asr"] - row["asr_as_applied"])
        first, second, _ = row["path"]
        assert first["ca_as_applied"] == first["ca"]
        assert second["ca_as_applied"] is not None


def test_figures_are_pictures(first: Launch) -> None:
    for name in ("alpha", "tradeoff", "ablation", "contact_sheet"):
        assert (first.report / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_shared_stages_ran_once(first: Launch, home: Path) -> None:
    kinds = Counter(name.rsplit("-", 1)[0] for name in commits(home))
    assert kinds == {
        "corpus": 1, "evaluation-set": 1, "clean-model": 1, "infected-model": 2, "scores": 4, "gate": 2,
        "vector": 4, "path": 4, "visibility": 2,
    }  # fmt: skip
    assert not list((home / "store" / "tmp").iterdir())
    assert {kind: expense.computed for kind, expense in first.account.items()} == kinds
    assert first.account["clean-model"].uses == 4
    assert first.account["clean-model"].saved_cpu_hours == pytest.approx(3 * first.account["clean-model"].cpu_hours)
    assert total_of(first.account).unknown == 0


def test_again_computes_and_doubles_nothing(first: Launch, home: Path) -> None:
    before = commits(home)
    again = start(small(), home)
    assert commits(home) == before
    assert metrics(again.records) == metrics(first.records)
    assert again.parent_run == first.parent_run
    spent, first_spent = total_of(again.account), total_of(first.account)
    assert (spent.computed, spent.cpu_hours) == (0, 0)
    assert spent.saved_cpu_hours == pytest.approx(first_spent.cpu_hours + first_spent.saved_cpu_hours)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    runs = client.search_runs([again.experiment_id])
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == again.parent_run]
    assert Counter(run.data.tags["tbar.kind"] for run in nested) == {"trial": 4, "training": 3}
    assert len(runs) == 8
    assert {run.info.status for run in runs} == {"FINISHED"}
    trial = next(run for run in nested if run.data.tags["tbar.kind"] == "trial")
    assert trial.info.end_time - trial.info.start_time == pytest.approx(1000 * trial.data.metrics["seconds"], abs=2)
    for training in (run for run in nested if run.data.tags["tbar.kind"] == "training"):
        samples = client.get_metric_history(training.info.run_id, "system/system_memory_usage_megabytes")
        assert len(samples) >= 1
        assert all(100 < sample.value < 10_000 for sample in samples)
        assert training.info.start_time <= samples[-1].timestamp <= training.info.end_time + 1000
        busy = client.get_metric_history(training.info.run_id, "system/cpu_utilization_percentage")
        # the last one may be of less than the hundredth of a second in which the system counts
        assert max(sample.value for sample in busy) > 0
    path = client.get_metric_history(trial.info.run_id, "path.alpha")
    assert [(point.step, point.value) for point in path] == [(0, 0), (1, 1), (2, 2)]


def test_only_what_is_missing_is_run(first: Launch, home: Path) -> None:
    lost = next((home / "store" / "artifacts").glob("path-*"))
    shutil.rmtree(lost)
    before, out = commits(home), io.StringIO()
    store, uri = Store(str(home / "store")), f"sqlite:///{home / 'mlflow.db'}"
    again = launch(small(), store, uri, home / "report", "local", Console(file=out, width=200))
    assert "3 of 4 trials are in the store" in out.getvalue()
    assert "1 trial on" in out.getvalue()
    assert metrics(again.records) == metrics(first.records)
    after = commits(home)
    assert {name for name in after if after[name] != before.get(name)} == {lost.name}
    assert not again.interrupted


def test_the_report_of_a_campaign_whose_experiment_was_deleted_is_written_all_the_same(
    first: Launch, home: Path, tmp_path: Path
) -> None:
    uri = f"sqlite:///{shutil.copy(home / 'mlflow.db', tmp_path)}"
    MlflowClient(uri).delete_experiment(first.experiment_id)
    with pytest.raises(TrackingError, match="was deleted; restore it"):
        launch(small(), Store(str(home / "store")), uri, tmp_path / "report", "local", Console(quiet=True))
    rows = json.loads((tmp_path / "report" / "results.json").read_text())
    assert [row["fingerprint"] for row in rows] == [record.fingerprint for record in first.records]


def test_a_budget_that_is_used_up_leaves_the_rest_to_the_next_launch(first: Launch, home: Path) -> None:
    made = small(search={"axes": {"attack": ["badnets"], "forget_size": [10]}})
    stopped = start(made, home, budget=Budget(1e-9, "CPU"))
    assert stopped.refused is not None
    assert "would go past the budget of 1e-09 CPU-hours" in stopped.refused
    assert not stopped.records, "a stage of this kind has been measured: none is started"
    again = start(made, home, budget=Budget(10, "CPU"))
    assert again.refused is None
    assert [record.status for record in again.records] == ["done"]
    assert not again.interrupted


def test_computed_afresh_with_two_readers_the_numbers_are_the_same(first: Launch, tmp_path: Path) -> None:
    made = small(resources={"training_cpus": 1, "readers": 2})
    fresh = compute_trial(made, {"attack": "badnets", "forget_size": 16}, Store(str(tmp_path / "store")))
    (known,) = [record for record in first.records if record.fingerprint == fresh.fingerprint]
    assert (known.attack, known.forget_size) == ("badnets", 16)
    assert metrics([fresh]) == metrics([known])


def test_a_transformer_is_attacked_and_cleaned_as_well(local_ray: None, tmp_path: Path) -> None:
    training = {"architecture": "tbar-ViT-tiny", "training": TRAINING}
    made = small(model=training, alpha=[0, 1], search={"axes": {"attack": ["badnets"]}})
    store = Store(str(tmp_path / "store"))
    assert compute_trial(made, {"attack": "badnets"}, store).status == "done"
    (infected,) = [name for name in store.artifacts() if name.startswith("infected-model")]
    assert (store.fetch(infected) / EXAMPLES).is_file()


def test_a_search_gives_up_trials_that_cannot_beat_earlier_ones_and_proposes_the_same_again(
    first: Launch, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = {
        "sampler": "random", "trials": 4, "concurrency": 2, "prune": True,
        "axes": {"learning_rate": {"low": 1e-6, "high": 1e-3, "log": True}, "attack": ["blended"]},
    }  # fmt: skip
    made = small(
        name="pruned", search=search, alpha=[0, 1, 2, 4, 8], evaluation={
            "min_retention": 0.5, "validation_fraction": 0.5, "alpha_search": "bisection", "max_asr": 0.0,
        },
    )  # fmt: skip
    bars: dict[str, float | None] = {}
    plan = Planner.plan

    def noted(planner: Planner, values: Any, to_beat: float | None = None) -> PlannedTrial:
        bar = None if to_beat is None else to_beat - 1  # so that the earlier trial cannot be beaten
        planned = plan(planner, values, bar)
        bars[planned.fingerprint] = bar
        return planned

    monkeypatch.setattr(Planner, "plan", noted)
    found = start(made, home, home / "store")
    assert len(found.records) == 4
    assert list(bars.values()).count(None) >= 2  # the first batch has nothing to beat
    for record in found.records:
        bar, below = bars[record.fingerprint], [point.asr for point in record.path]
        if record.status == "dominated":
            assert bar is not None
            assert record.reason == (
                f"no α that retains enough CA comes below the validation ASR of an earlier trial, {bar:.1%}"
            )
            assert record.removed is None
        else:
            assert record.status in ("done", "infeasible")
            assert bar is None or min(below) <= bar
    assert [record.status for record in found.records].count("dominated") == 2
    before = commits(home)
    monkeypatch.setattr(Trials, "_sweep", None)  # what is in the store needs no Ray
    again = start(made, home, home / "store")
    assert metrics(again.records) == metrics(found.records)
    assert commits(home) == before
    report = (home / "report" / "report.md").read_text()
    assert "Failed, infeasible and given-up trials" in report


def test_a_path_of_the_spec_is_an_axis_in_every_place_that_tells_trials_apart(first: Launch, home: Path) -> None:
    axis = "model.training.epochs"
    made = small(name="epochs", alpha=[0, 1], search={"axes": {"attack": ["badnets"], axis: [1, 2]}})
    found = start(made, home)
    assert [(record.status, record.settings[axis]) for record in found.records] == [("done", 1), ("done", 2)]
    with (found.report / "results.csv").open(newline="") as file:
        assert [row[axis] for row in csv.DictReader(file)] == ["1", "2"]
    clean = [record.value("ca", "clean") for record in found.records]
    assert len({record.infected_artifact for record in found.records}) == len(clean) == 2
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    runs = [r for r in client.search_runs([found.experiment_id]) if r.data.tags["tbar.kind"] == "trial"]
    assert sorted(run.data.params[axis] for run in runs) == ["1", "2"]
    assert sorted(run.info.run_name.rsplit(", ", 1)[-1] for run in runs) == ["epochs 1", "epochs 2"]
    report = (found.report / "report.md").read_text()
    results = report[report.index("## Results") :]
    head = next(line for line in results.splitlines() if line.startswith("|"))
    assert "epochs" in [cell.strip() for cell in head.split("|")]


def test_two_objectives(first: Launch, home: Path) -> None:
    search = {
        "sampler": "nsga2", "objective": "tradeoff", "trials": 3, "concurrency": 2,
        "axes": {"attack": ["badnets"], "alpha": {"low": 0, "high": 3}},
    }  # fmt: skip
    result = start(small(name="front", search=search), home)
    assert len(result.records) == 3
    assert result.failed == 0


def test_an_attack_that_did_not_take_is_a_failed_trial_with_its_reason(first: Launch, home: Path) -> None:
    poison, axes = {**small().poison.model_dump(), "min_asr": 0.999}, {"attack": ["badnets"], "forget_size": [8, 16]}
    result = start(small(name="weak", poison=poison, search={"axes": axes}), home)
    assert result.failed == 2
    assert all((r.reason or "").startswith("attack did not take: validation ASR") for r in result.records)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    nested = [r for r in client.search_runs([result.experiment_id]) if r.data.tags["tbar.kind"] == "trial"]
    assert {run.info.status for run in nested} == {"FAILED"}
    assert all(run.data.tags["tbar.reason"].startswith("attack did not take") for run in nested)


def test_shares_of_a_grid_record_under_one_run_and_the_last_reports_the_whole(first: Launch, home: Path) -> None:
    client, made = MlflowClient(f"sqlite:///{home / 'mlflow.db'}"), small(name="shared")
    reports, states, runs = [], [], []
    for number in (2, 1):
        scope = Scope(share=Share(number, 2))
        store, uri = Store(str(home / "store")), f"sqlite:///{home / 'mlflow.db'}"
        found = launch(made, store, uri, home / f"share-{number}", "local", Console(quiet=True), scope=scope)
        assert len(found.records) == 2
        reports.append(json.loads((found.report / "results.json").read_text()))
        runs = client.search_runs([found.experiment_id])
        states.append([run.info.status for run in runs if run.data.tags["tbar.kind"] == "campaign"])
    assert [len(trials) for trials in reports] == [2, 4]
    assert [trial["fingerprint"] for trial in reports[1]] == [record.fingerprint for record in first.records]
    assert states == [["RUNNING"], ["FINISHED"]]
    assert Counter(run.data.tags["tbar.kind"] for run in runs) == {"campaign": 1, "trial": 4, "training": 3}
    (parent,) = [run for run in runs if run.data.tags["tbar.kind"] == "campaign"]
    assert parent.data.metrics["trials"] == 4


def run_cli(monkeypatch: pytest.MonkeyPatch, path: Path, home: Path, report: Path, database: Path) -> Any:
    """Run `tbar campaign run` in this process; return its exit code."""
    words = ["tbar", "campaign", "run", str(path), "--address", "local", "--store", str(home / "store")]
    monkeypatch.setattr(sys, "argv", [*words, "--tracking-uri", f"sqlite:///{database}", "--out", str(report)])
    with pytest.raises(SystemExit) as caught:
        main()
    return caught.value.code


def file_of(made: CampaignSpec, folder: Path) -> Path:
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(made.model_dump(mode="json")))
    return path


def test_a_trial_that_cannot_be_carried_out_leaves_the_others_alone(
    first: Launch, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # 12 of the 240 samples are poisoned; of the 228 left some show the target, which only reading them tells
    made = small(name="large", search={"axes": {"attack": ["badnets"], "forget_size": [8, 228]}})
    assert run_cli(monkeypatch, file_of(made, tmp_path), home, tmp_path / "report", home / "mlflow.db") == 1
    shown, problems = capsys.readouterr()
    assert "Traceback" not in shown + problems
    good, bad = json.loads((tmp_path / "report" / "results.json").read_text())
    assert (good["status"], good["forget_size"]) == ("done", 8)
    assert (bad["status"], bad["forget_size"]) == ("failed", 228)
    assert bad["reason"].startswith("forget set: 228 images asked for, but only ")
    assert bad["asr_infected"] == good["asr_infected"]
    assert "  sheets: images of 1 trial in " in shown
    assert (tmp_path / "report" / "report.html").read_text().count('<details class="sheet"') == 1
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("large")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    of_kind = {
        kind: [r.info.status for r in runs if r.data.tags["tbar.kind"] == kind] for kind in ("campaign", "trial")
    }
    assert of_kind["campaign"] == ["FAILED"]
    assert sorted(of_kind["trial"]) == ["FAILED", "FINISHED"]
    (failed,) = [run for run in runs if run.data.tags.get("tbar.status") == "failed"]
    assert failed.data.tags["tbar.reason"] == bad["reason"]


class RenamesATable(io.StringIO):
    """An output that takes a table away from MLflow's database when the first trial has been shown."""

    def __init__(self, database: Path) -> None:
        super().__init__()
        self._database: Path | None = database

    def write(self, text: str) -> int:
        if self._database is not None and "trial 1/" in text:
            rename(self._database, "latest_metrics", "taken_away")
            self._database = None
        return super().write(text)


def rename(database: Path, table: str, name: str) -> None:
    with closing(sqlite3.connect(database, timeout=20)) as connection:
        connection.execute(f"ALTER TABLE {table} RENAME TO {name}")
        connection.commit()


def test_results_survive_the_loss_of_mlflow(
    first: Launch, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    search = {"axes": {"attack": ["badnets"], "alpha": [0.25, 0.5, 0.75]}, "concurrency": 1}
    path, report = file_of(small(name="lost", search=search), tmp_path), tmp_path / "report"
    database = home / "mlflow.db"
    out = RenamesATable(database)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        code = run_cli(patched, path, home, report, database)
    rename(database, "taken_away", "latest_metrics")
    problems = capsys.readouterr().err
    assert code == 2
    assert "Traceback" not in out.getvalue() + problems
    assert out.getvalue().count("does not record") == 1
    assert problems.splitlines()[-1].startswith(f"error: MLflow at sqlite:///{database} does not record: ")
    assert [row["status"] for row in json.loads((report / "results.json").read_text())] == ["done"] * 3

    assert run_cli(monkeypatch, path, home, report, database) in (0, None)
    client = MlflowClient(f"sqlite:///{database}")
    experiment = client.get_experiment_by_name("lost")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert Counter(run.data.tags["tbar.kind"] for run in runs) == {"campaign": 1, "trial": 3, "training": 2}
    assert all("ca" in run.data.metrics for run in runs if run.data.tags["tbar.kind"] == "trial")

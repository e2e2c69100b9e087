"""A whole campaign on a real local Ray, with real shards and a real MLflow, as small as it gets."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from rich.console import Console

from tbar_ray.campaign.cluster import ray_session
from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.campaign.store import COMMIT, Store
from tests.campaign.specs import spec

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

TRAINING = {"epochs": 1, "batch_size": 32, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
METRICS = ("ca", "asr", "pa")
BOTH = ["badnets", "blended"]


def small(**changes: Any) -> CampaignSpec:
    settings: dict[str, Any] = {
        "data": {"synthetic": {"samples": 240, "size": 64, "per_class": 2, "samples_per_shard": 60}},
        "model": {"architecture": "tbar-RN-tiny", "training": TRAINING},
        "poison": {
            "rate": 0.1, "pairs": 120, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": TRAINING,
        },
        "forget": {"size": 8},
        "alpha": [0, 1, 2],
        "evaluation": {"min_retention": 0, "validation_fraction": 0.5},
        "unlearning": {"method": "tbar", "parameters": {"steps": 2, "batch_size": 8}},
        "search": {"axes": {"attack": BOTH, "forget_size": [8, 16]}},
        "resources": {"training_cpus": 1},
    }  # fmt: skip
    return spec(**{**settings, **changes})


def start(made: CampaignSpec, folder: Path, store: Path | None = None) -> Launch:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    return launch(made, Store(str(store or folder / "store")), uri, folder / "report", "local", Console(quiet=True))


def metrics(result: Launch) -> list[Any]:
    """What must not depend on time, readers or the machine's load."""
    return [
        [dict(point) for point in record["path"]]
        + [{k: record[k] for k in record if k.startswith(METRICS) or k in ("alpha", "fingerprint")}]
        for record in result.records
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with ray_session("local", small()):  # one Ray for all launches of this file
        yield tmp_path_factory.mktemp("campaign")


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


def test_figures_are_pictures(first: Launch) -> None:
    for name in ("alpha", "tradeoff", "ablation", "contact_sheet"):
        assert (first.report / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_shared_stages_ran_once(first: Launch, home: Path) -> None:
    kinds = Counter(name.rsplit("-", 1)[0] for name in commits(home))
    assert kinds == {
        "corpus": 1, "evaluation-set": 1, "clean-model": 1, "infected-model": 2, "scores": 4, "gate": 2,
        "vector": 4, "path": 4,
    }  # fmt: skip
    assert not list((home / "store" / "tmp").iterdir())


def test_again_computes_and_doubles_nothing(first: Launch, home: Path) -> None:
    before = commits(home)
    again = start(small(), home)
    assert commits(home) == before
    assert metrics(again) == metrics(first)
    assert again.parent_run == first.parent_run
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    runs = client.search_runs([again.experiment_id])
    nested = [run for run in runs if run.data.tags.get("mlflow.parentRunId") == again.parent_run]
    assert len(runs) == 5
    assert len(nested) == 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    path = client.get_metric_history(nested[0].info.run_id, "validation.asr")
    assert [point.step for point in path] == [0, 1000, 2000]


def test_a_fresh_run_with_one_reader_gives_the_same_numbers(first: Launch, tmp_path: Path) -> None:
    other = start(small(resources={"training_cpus": 1, "readers": 1}), tmp_path)
    assert metrics(other) == metrics(first)


def test_a_sampler_proposes_the_same_trials_again(first: Launch, home: Path) -> None:
    search = {
        "sampler": "tpe", "trials": 4, "concurrency": 2, "axes": {"attack": BOTH, "alpha": {"low": 0, "high": 3}},
    }  # fmt: skip
    once = start(small(name="tpe", search=search), home)
    before = commits(home)
    twice = start(small(name="tpe", search=search), home)
    assert len(once.records) == 4
    assert [r["fingerprint"] for r in once.records] == [r["fingerprint"] for r in twice.records]
    assert commits(home) == before


def test_two_objectives(first: Launch, home: Path) -> None:
    search = {
        "sampler": "nsga2", "objective": "tradeoff", "trials": 4, "concurrency": 2,
        "axes": {"attack": ["badnets"], "alpha": {"low": 0, "high": 3}},
    }  # fmt: skip
    result = start(small(name="front", search=search), home)
    assert len(result.records) == 4
    assert result.failed == 0


def test_an_attack_that_did_not_take_is_a_failed_trial_with_its_reason(first: Launch, home: Path) -> None:
    poison = {**small().poison.model_dump(), "min_asr": 0.999}
    result = start(small(name="weak", poison=poison), home)
    assert result.failed == 4
    assert all(r["reason"].startswith("attack did not take: ASR") for r in result.records)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    nested = [r for r in client.search_runs([result.experiment_id]) if r.data.tags["tbar.kind"] == "trial"]
    assert {run.info.status for run in nested} == {"FAILED"}
    assert all(run.data.tags["tbar.reason"].startswith("attack did not take") for run in nested)


def test_a_training_that_diverges_says_so(first: Launch, home: Path) -> None:
    wild = {**TRAINING, "optimisation": {"learning_rate": 1e30, "warmup_steps": 0}}
    poison = {**small().poison.model_dump(), "training": wild}
    result = start(small(name="wild", poison=poison, search={"axes": {"attack": ["badnets"]}}), home)
    assert result.failed == 1
    assert "not finite" in result.records[0]["reason"] or "diverged" in result.records[0]["reason"]

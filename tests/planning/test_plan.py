from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.planning.plan import Plan, make_plan, measured_rates, total_seconds
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.node import Stage
from tbar_ray.store.store import Store
from tests.specs import spec, write

GRID: dict[str, Any] = {
    "search__axes": {"attack": ["badnets", "blended"], "forget_size": [10, 20]},
    "unlearning__parameters": {"steps": 3, "batch_size": 5},
}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def planned(store: Store, **changes: Any) -> Plan:
    return make_plan(Planner(spec(**changes)), store)


def commit(store: Store, stage: Stage, seconds: float) -> None:
    facts = {"kind": stage.kind, "seconds": seconds, "work": stage.work, "facts": {}}
    store.commit(stage.artifact, store.scratch(), facts)


def stage_of(plan: Plan, kind: str) -> Stage:
    return next(entry.stage for entry in plan.stages if entry.stage.kind == kind)


def test_planning_computes_nothing(store: Store) -> None:
    plan = planned(store, **GRID)
    assert not Path(store.url).exists()
    assert plan.total_trials == len(plan.trials) == 4
    assert len(plan.stages) == 3 + 2 + 4 + 2 + 4 + 4 + 2  # shared, infected, scores, gates, vectors, paths, visibility
    assert plan.to_compute == plan.stages
    assert total_seconds(plan.to_compute) is None
    assert {entry.seconds for entry in plan.stages} == {None}


def test_what_is_committed_is_cached(store: Store) -> None:
    commit(store, stage_of(planned(store, **GRID), "corpus"), 2)
    plan = planned(store, **GRID)
    assert [entry.stage.kind for entry in plan.stages if entry.cached] == ["corpus"]
    assert len(plan.to_compute) == len(plan.stages) - 1
    assert plan.to_dict(spec(**GRID))["cached"] == 1


def test_estimates_come_from_measured_rates(store: Store) -> None:
    other = planned(store, **{**GRID, "seed": 5})
    vectors = [entry.stage for entry in other.stages if entry.stage.kind == "vector"]
    assert vectors[0].work == 3 * 5
    commit(store, vectors[0], 6)
    commit(store, vectors[1], 3)
    commit(store, stage_of(other, "gate"), 0.5)
    assert measured_rates(store, "tbar-RN-tiny") == {"vector": pytest.approx(9 / 30), "gate": 0.5}
    plan = planned(store, **{**GRID, "unlearning__parameters": {"steps": 10, "batch_size": 5}})
    known = {entry.stage.kind: entry.seconds for entry in plan.stages if entry.seconds is not None}
    assert known == {"vector": pytest.approx(10 * 5 * 0.3), "gate": 0.5}
    assert total_seconds(plan.to_compute) is None  # the others are unknown
    for entry in other.stages:
        if not store.has(entry.stage.artifact):
            commit(store, entry.stage, 1)
    estimate = total_seconds(planned(store, **GRID).to_compute)
    assert estimate is not None
    assert estimate > 0
    assert total_seconds(planned(store, **{**GRID, "seed": 5}).to_compute) == 0


def test_a_sampler_shows_one_example(store: Store) -> None:
    search = {
        "sampler": "tpe",
        "trials": 7,
        "axes": {"attack": ["blended"], "learning_rate": {"low": 1e-6, "high": 1e-4, "log": True}},
    }
    plan = planned(store, search=search)
    assert plan.total_trials == 7
    (trial,) = plan.trials
    assert (trial.attack, trial.settings["learning_rate"]) == ("blended", 1e-6)


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("TBAR_HOME", str(tmp_path / "home"))
    return CliRunner()


def test_plan_as_json(cli: CliRunner, tmp_path: Path) -> None:
    path = str(write(tmp_path, **GRID))
    store = Store(str(tmp_path / "home" / "store"))
    plan = planned(store, **GRID)
    commit(store, stage_of(plan, "evaluation-set"), 1)
    ended = cli.invoke(app, ["campaign", "plan", path, "--json"])
    assert ended.exit_code == 0
    told = json.loads(ended.stdout)
    assert told == planned(store, **GRID).to_dict(spec(**GRID))
    assert (told["campaign"], told["sampler"], told["trials"], told["cached"]) == ("demo", "grid", 4, 1)
    assert told["to_compute"] == len(told["stages"]) - 1
    assert [s["fingerprint"] for s in told["stages"] if s["cached"]] == [stage_of(plan, "evaluation-set").fingerprint]
    assert {cell["forget_size"] for cell in told["cells"]} == {10, 20}
    assert store.artifacts() == [stage_of(plan, "evaluation-set").artifact]


def test_plan_for_people(cli: CliRunner, tmp_path: Path) -> None:
    ended = cli.invoke(app, ["campaign", "plan", str(write(tmp_path, **GRID))], env={"COLUMNS": "120"})
    assert ended.exit_code == 0
    assert "demo: 4 trials (grid)" in ended.stdout
    assert "corpus of 400 scenes" in ended.stdout
    assert "0 stages cached, 21 to compute (4,860 images); time unknown" in " ".join(ended.stdout.split())
    assert not (tmp_path / "home").exists()


def test_plan_with_another_store_and_overrides(cli: CliRunner, tmp_path: Path) -> None:
    words = ["--store", str(tmp_path / "other"), "--set", "search.axes.forget_size=[10]", "--json"]
    ended = cli.invoke(app, ["campaign", "plan", str(write(tmp_path, **GRID)), *words])
    assert json.loads(ended.stdout)["trials"] == 2


def test_a_plan_needs_no_data_and_can_be_costed_at_a_speed(cli: CliRunner, tmp_path: Path) -> None:
    absent = {"train": str(tmp_path / "absent"), "evaluation": str(tmp_path / "none")}
    path = str(write(tmp_path, **{**GRID, "data": absent, "poison__pairs": 1000}))
    ended = cli.invoke(app, ["campaign", "plan", path, "--images-per-second", "10"], env={"COLUMNS": "140"})
    assert ended.exit_code == 0
    assert ended.stdout.count("data are not here") == 2
    assert "s of stage time at that speed" in ended.stdout


def test_rates_of_another_architecture_do_not_count(store: Store) -> None:
    first = stage_of(planned(store, **GRID), "gate")
    folder = store.scratch()
    facts = {"kind": first.kind, "seconds": 5.0, "work": 0, "architecture": "tbar-RN-tiny"}
    store.commit(first.artifact, folder, facts)
    assert measured_rates(store, "tbar-RN-tiny") == {"gate": 5.0}
    assert measured_rates(store, "ViT-B-32") == {}

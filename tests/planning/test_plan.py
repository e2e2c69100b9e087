from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tbar_ray.cli.main import app
from tbar_ray.planning.plan import Plan, make_plan, total_seconds
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.rates import Rates, measured_rates
from tbar_ray.stages.node import PROCESS, Stage
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
    rates = measured_rates(store, "tbar-RN-tiny")
    assert rates.seconds("vector", 10) == pytest.approx(10 * 9 / 30)
    assert rates.seconds("gate", 0) == 0.5
    assert rates.seconds("gate", 10) is None, "none that told its images"
    assert rates.seconds("path", 0) is None
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
    assert re.search(
        r"4 × vector, e.g. tbar: badnets, 10 images, 0% clean +│ +0 │ +4 │ +60 │ not measured yet", ended.stdout
    )
    lines = ended.stdout.splitlines()[-3:]
    assert lines[0] == "0 stages in the store, 21 to compute (4,860 images)"
    assert lines[1].startswith("time unknown until each kind of stage has run once")
    assert re.fullmatch(r"a node needs at least 2 CPUs, 1\.\d GB of memory and 0\.\d GB of disk", lines[2])
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
    told = " ".join(ended.stdout.split())
    assert re.search(r"about [\d.]+ CPU-hours and 0 GPU-hours at that speed; \d+ min at least on \d+ CPU", told)


def test_every_stage_can_be_shown(cli: CliRunner, tmp_path: Path) -> None:
    words = ["campaign", "plan", str(write(tmp_path, **GRID)), "--stages"]
    ended = cli.invoke(app, words, env={"COLUMNS": "140"})
    assert ended.exit_code == 0
    assert ended.stdout.count("to compute │") == 21
    assert "tbar: blended, 20 images, 0% clean" in ended.stdout


def test_hours_count_what_stages_hold_and_the_wall_clock_is_the_longest_chain_or_the_share(store: Store) -> None:
    resources = {"training_cpus": 4, "trial_cpus": 2, "gpus": 0.5, "training_gpus": 1, "training_workers": 3}
    plan = make_plan(Planner(spec(**{**GRID, "resources": resources})), store, images_per_second=10)
    seconds = {
        kind: sum(e.seconds or 0 for e in plan.stages if e.stage.kind == kind) for kind in ("vector", "infected-model")
    }
    trainings = [e for e in plan.stages if e.stage.divisible]
    others = [e for e in plan.stages if not e.stage.divisible]
    cpu, gpu = plan.hours() or (0, 0)
    on_gpu = sum(e.seconds or 0 for e in others if e.stage.on_model)
    assert seconds["vector"] == pytest.approx(4 * 15 / 10)
    assert cpu * 3600 == pytest.approx(
        sum((e.seconds or 0) * 4 * 3 for e in trainings) + sum((e.seconds or 0) * e.stage.threads for e in others)
    )
    assert gpu * 3600 == pytest.approx(3 * sum(e.seconds or 0 for e in trainings) + 0.5 * on_gpu)
    chain = plan.wall_clock(10**6)
    assert chain == pytest.approx(plan.wall_clock(10**7)), "more CPUs do not help a chain"
    assert chain is not None
    assert seconds["infected-model"] / 2 < chain < sum(e.seconds or 0 for e in plan.stages)
    assert plan.wall_clock(1) == pytest.approx(cpu * 3600)
    least = plan.least_node
    assert (least.cpus, least.gpus, least.workers) == (4, 1, 3)
    assert least.memory > PROCESS


def test_rates_of_another_architecture_do_not_count(store: Store) -> None:
    first = stage_of(planned(store, **GRID), "gate")
    folder = store.scratch()
    facts = {"kind": first.kind, "seconds": 5.0, "work": 0, "architecture": "tbar-RN-tiny"}
    store.commit(first.artifact, folder, facts)
    assert measured_rates(store, "tbar-RN-tiny").seconds("gate", 0) == 5.0
    assert measured_rates(store, "ViT-B-32").seconds("gate", 0) is None


def test_stages_that_tell_no_images_do_not_change_the_rate_of_those_that_do() -> None:
    rates = Rates()
    rates.learn("path", 0, 4.0)
    rates.learn("path", 1000, 1.0)
    rates.learn("path", 3000, 7.0)
    assert rates.seconds("path", 0) == 4.0
    assert rates.seconds("path", 500) == pytest.approx(1.0)

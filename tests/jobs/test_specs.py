"""Every campaign that is shipped loads, names only what exists, and can be planned and costed without its data."""

import csv
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import yaml

from tbar_ray.planning.plan import make_plan, total_seconds
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.planning.rehearsal import RehearsalPlanner
from tbar_ray.spec.load import load_spec
from tbar_ray.stages.node import stages_in_order
from tbar_ray.store.store import Store

JOBS = Path(__file__).parents[2] / "jobs"
SPECS = sorted(JOBS.rglob("*.yaml"))


EACH = pytest.mark.parametrize("path", SPECS, ids=[str(path.relative_to(JOBS)) for path in SPECS], scope="class")
"""With this scope, all tests of one campaign come one after the other, and its grid is planned once."""


class PlansOnce(Planner):
    """Plans its grid when it is asked for the first time."""

    @cached_property
    def _grid(self) -> list[PlannedTrial]:
        return super().grid()

    def grid(self) -> list[PlannedTrial]:
        return self._grid


@lru_cache(1)
def planner_of(path: Path) -> PlansOnce:
    return PlansOnce(load_spec(path), without_data=True)


@EACH
def test_a_shipped_campaign_can_be_planned_and_costed(path: Path, tmp_path: Path) -> None:
    planner = planner_of(path)
    spec = planner.spec
    check_campaign(planner)
    plan = make_plan(planner, Store(str(tmp_path)), images_per_second=1000)
    assert plan.total_trials >= 1
    assert all(stage.seconds is not None for stage in plan.stages)
    cost = total_seconds(plan.to_compute)
    assert cost is not None
    assert cost > 0
    assert bool(planner.missing) == (spec.data.synthetic is None)


@EACH
def test_a_rehearsal_tries_every_kind_of_stage_attack_and_method_of_it(path: Path, tmp_path: Path) -> None:
    whole = planner_of(path)
    spec = whole.spec
    planner = RehearsalPlanner(spec, tmp_path, cpus=2)
    replace(planner.stand_ins, size=16).write(spec.data)  # larger pictures take longer to draw
    planner.stand_ins.write_weights(empty=True)
    small = planner.grid()
    trials = whole.grid() if spec.search.sampler == "grid" else whole.examples()
    assert _kinds(small) == _kinds(trials)
    for axis, of in (("attack", attrgetter("attack")), ("method", attrgetter("method"))):
        values = spec.search.axes.get(axis)
        tried, known = {of(each.trial) for each in small}, {of(each.trial) for each in trials}
        # without their data, two tasks of one trigger and target are one trial of the grid
        assert known <= tried <= ({*values} if isinstance(values, list) else known)
    assert {_architecture(each) for each in small} <= {_architecture(each) for each in trials}
    stages = stages_in_order([output for each in small for output in each.graph.outputs])
    assert max(stage.work for stage in stages) <= 500, "images"


def _architecture(planned: PlannedTrial) -> str:
    return planned.trial.spec.model.architecture


def _kinds(trials: Sequence[PlannedTrial]) -> set[str]:
    return {stage.kind for stage in stages_in_order([output for each in trials for output in each.graph.outputs])}


@EACH
def test_a_shipped_campaign_opens_with_what_it_answers_and_how_to_run_it(path: Path) -> None:
    lines = path.read_text().splitlines()
    comment = "\n".join(line for line in lines[: next(i for i, line in enumerate(lines) if line.startswith("name:"))])
    assert "?" in comment.split("\n\n")[0]
    assert f"tbar campaign run jobs/{path.relative_to(JOBS)}" in comment


def test_every_small_campaign_of_an_ablation_has_a_twin_at_the_size_of_the_literature() -> None:
    small = {path.name for path in JOBS.glob("*.yaml")} - {
        "quickstart.yaml",
        "pretrain.yaml",
        "attack_budgets.yaml",
        "attack_budgets_128px.yaml",
        "zoo.yaml",
        "leaderboard.yaml",
    }
    assert small <= {path.name for path in (JOBS / "paper").glob("*.yaml")}
    assert len({load_spec(path).name for path in SPECS}) == len(SPECS)


def best_of(file: Path) -> dict[str, dict[str, Any]]:
    """Of each method the proposal with the least mean of what the search minimised; of equal ones that of most CA."""
    trials: defaultdict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    for row in csv.DictReader(file.open(encoding="utf-8")):
        value = float(row["penalised_asr"]), -float(row["validation_ca"] or 0)
        trials[row["method"], row["parameters"]].append(value)
    means: defaultdict[str, dict[str, tuple[float, float]]] = defaultdict(dict)
    for (method, proposal), values in trials.items():
        asr, ca = (sum(parts) / len(values) for parts in zip(*values, strict=True))
        means[method][proposal] = asr, ca
    best = {method: min(found, key=lambda proposal: found[proposal]) for method, found in means.items()}
    return {method: yaml.safe_load(f"{{{_mapping(proposal)}}}") for method, proposal in best.items()}


def _mapping(proposal: str) -> str:
    return ", ".join(part.replace(" ", ": ", 1) for part in proposal.split(", "))


def test_the_leaderboards_have_the_settings_that_equal_searches_found() -> None:
    scenes, photographs, matrix, tuned, tuned_there = (
        load_spec(JOBS / f"{name}.yaml")
        for name in (
            "leaderboard",
            "photographs/leaderboard",
            "unlearning_matrix",
            "tune_baselines",
            "photographs/tune_baselines",
        )
    )
    methods, attacks = scenes.search.axes["method"], scenes.search.axes["attack"]
    assert isinstance(methods, list)
    assert isinstance(attacks, list)
    assert set(methods) <= set(scenes.methods) <= set(matrix.methods)
    assert {name: matrix.methods[name] for name in scenes.methods} == scenes.methods
    assert tuned_there.search.trials == tuned.search.trials
    assert set(photographs.methods) == set(tuned_there.methods) == set(methods)
    ranges = {name: axis for name, axis in tuned.search.axes.items() if name.split(".")[0] in methods}
    assert {name: axis for name, axis in tuned_there.search.axes.items() if "." in name} == ranges
    best = best_of(JOBS.parent / "docs" / "results" / "photographs_tuning.csv")
    for name, entry in photographs.methods.items():
        fixed, searched = tuned_there.methods[name].parameters, best[name]
        assert entry.parameters == {**fixed, **searched}, name
    assert len(methods) >= 15
    assert len(set(attacks) - set(tuned.attacks)) >= 12, "beside those that the searches were on"
    assert photographs.search.axes == scenes.search.axes
    black = {"badnets-square": {"colour": [0.0, 0.0, 0.0]}}  # white is the photographs' background
    assert {name: (a.trigger, a.parameters, a.planting) for name, a in photographs.attacks.items()} == {
        name: (a.trigger, {**a.parameters, **black.get(name, {})}, a.planting) for name, a in scenes.attacks.items()
    }

"""Downstream changes as a stage: of which model, with which material, and what reaches a trial's record."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch

from tbar_ray.execution.stage_task import compute
from tbar_ray.lasting import downstream
from tbar_ray.lasting.change import Material
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.downstream import DOWNSTREAM, MeasureDownstream, _task
from tbar_ray.stages.kept import kept_model
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.store import Store
from tests.models.tiny import same, snapshot, tiny
from tests.specs import spec
from tests.stages.cleaned import WANTED
from tests.stages.computing import compute_trial


def stage(**changes: Any) -> MeasureDownstream:
    found = Planner(spec(**{**WANTED, **changes})).plan({}).graph.downstream
    assert found is not None
    return found


def test_a_trials_record_has_the_scores_after_each_change(cleaned: Store) -> None:
    made = compute_trial(spec(**WANTED), {}, cleaned)
    assert list(made.downstream) == WANTED["evaluation"]["downstream"]
    assert made.removed is not None
    assert {scores.ca.n for scores in made.downstream.values()} == {made.removed.ca.n}
    values = made.downstream_values()
    assert values["asr_wise_ft"] == made.downstream["wise-ft"].asr.value
    assert len(values) == 15


def test_changes_start_from_the_cleaned_model_and_know_the_infected_one(
    cleaned: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Any] = {}

    def noted(model: torch.nn.Module, changes: Any, material: Material, *_: Any) -> dict[str, Any]:
        seen.update(model=snapshot(model), material=material, changes=changes)
        return {}

    monkeypatch.setattr(downstream, "score_changes", noted)
    once = stage().model_copy(update={"changes": ("int8", "pruned")})
    compute(once, cleaned)
    infected = snapshot(kept_model(once.path.infected.model, cleaned, torch.device("cpu")))
    assert same(dict(seen["material"].infected), infected)
    assert not same(seen["model"], infected), "it is cleaned"
    assert seen["changes"] == ("int8", "pruned")
    data = once.path.infected.open_data(cleaned)
    validation, test = data.split(0.5, 0)
    assert len(seen["material"].labelled.labels) == len(validation) == len(data.labels) - len(test)
    assert seen["material"].classes == 60


def test_the_infected_and_the_clean_model_are_changed_once_for_all_methods(cleaned: Store) -> None:
    one, other = (
        Planner(spec(**{**WANTED, "unlearning__method": method})).plan({}).graph.downstream_references
        for method in ("tbar", "gradient-ascent")
    )
    assert one == other
    assert [(role, stage.scorer.role) for role, stage in one.items()] == [("infected", "infected"), ("clean", "clean")]
    made = compute_trial(spec(**WANTED), {}, cleaned)
    wanted = WANTED["evaluation"]["downstream"]
    found = made.downstream_references
    assert list(found["infected"]) == [change for change in wanted if change != "wise-ft"], "not with itself"
    assert list(found["clean"]) == wanted
    assert found["infected"]["bf16"].ca.value == pytest.approx(made.value("ca", "infected"), abs=0.05)
    assert found["clean"]["bf16"].ca.value == pytest.approx(made.value("ca", "clean"), abs=0.05)


def test_where_no_alpha_keeps_ca_there_is_nothing_to_change(cleaned: Store) -> None:
    harsh = {"alpha": [900, 1000], "evaluation": {"min_retention": 1, "downstream": ["int8"]}}
    assert compute_trial(spec(**{**WANTED, **harsh}), {}, cleaned).downstream == {}
    last = stage(**harsh)
    assert json.loads((cleaned.fetch(last.artifact) / DOWNSTREAM).read_text()) == {}


def test_a_change_is_made_once_and_none_is_made_unasked() -> None:
    twice = stage(evaluation={"downstream": ["int8", "int8", "pruned"]})
    assert twice.changes == ("int8", "pruned")
    graph = Planner(spec(**{**WANTED, "evaluation": {}})).plan({}).graph
    assert (graph.downstream, graph.results) == (None, [graph.path])


def test_the_vector_of_another_task_is_that_of_its_clean_training(cleaned: Store) -> None:
    attack = {"trigger": "badnets", "target": "red circle", "task": "night"}
    tasks = {name: {"synthetic": name} for name in ("night", "shapes")}
    changes = {"attacks": {"badnets": attack}, "tasks": tasks, "poison": {"rate": 0.1}}
    asked = stage(**changes, evaluation={"downstream": ["merged"]})
    assert asked.another is not None
    start, end = create_model("tbar-GN-pico", pretrained="scenes").state_dict(), tiny("tbar-GN-pico").state_dict()
    folder = cleaned.scratch()
    save_state_dict(end, folder / WEIGHTS)
    cleaned.commit(asked.another.artifact, folder, {"kind": asked.another.kind, "facts": {}})
    vector = _task(asked.another, cleaned)
    assert vector is not None
    for name, value in vector.tensors.items():
        assert torch.equal(value, end[name] - start[name])
    assert _task(stage().another, cleaned) is None

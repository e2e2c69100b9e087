"""From attacks of a spec to nodes, without computing anything."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.stages.merge import MergedModel
from tbar_ray.stages.node import stages_in_order
from tests.specs import spec

TASKS = {"night": {"synthetic": "night"}, "shapes": {"synthetic": "shapes"}}


def graphs(**changes: Any) -> dict[tuple[str, str | None], TrialGraph]:
    planner = Planner(spec(**changes))
    check_campaign(planner)
    return {(planned.trial.attack, planned.trial.source): planned.graph for planned in planner.grid()}


def one(**attack: Any) -> TrialGraph:
    axes = {"attack": ["a"]}
    return graphs(attacks={"a": {"target": "red circle", **attack}}, search={"axes": axes}, tasks=TASKS)["a", None]


def kinds(graph: TrialGraph) -> list[str]:
    return [stage.kind for stage in stages_in_order(list(graph.outputs))]


def test_a_preset_brings_trigger_constants_and_poisoning_and_the_user_overrides() -> None:
    plant = one(trigger="cleanclip/label-consistent", parameters={"patch_size": 20}).model.plants[0]
    assert plant.backdoor.trigger == "badnets-gaussian-wrapped"
    assert plant.backdoor.parameters["patch_size"] == 20
    assert plant.poisoning == "label-consistent"
    assert one(trigger="cleanclip/label-consistent", poisoning="dirty-label").model.plants[0].poisoning == "dirty-label"
    assert one(trigger="badclip/badclip").model.plants[0].captions == "natural"
    assert one(trigger="badclip/badclip", poison={"captions": "openai"}).model.plants[0].captions == "openai"


def test_an_attack_has_its_own_budget() -> None:
    plain = one(trigger="sig").model
    assert (plain.plants[0].rate, plain.plants[0].count) == (0.05, None)
    counted = one(trigger="sig", poison={"count": 7, "training": {"epochs": 9}}).model
    assert (counted.plants[0].rate, counted.plants[0].count, counted.training.epochs) == (None, 7, 9)
    assert counted.plants[0].amount(1000) == 7


def test_a_rate_of_nothing_is_a_clean_training_that_attacks_share() -> None:
    made = [one(trigger=trigger, poison={"rate": 0}) for trigger in ("sig", "badnets")]
    assert made[0].model.plants == ()
    assert made[0].model == made[1].model
    assert made[0].infected.backdoor.trigger == "sig"  # which it is scored with all the same
    assert made[0].model.title == "fine-tune on clean samples (seed 0)"


def test_a_learned_trigger_is_optimised_before_anything_is_poisoned() -> None:
    order = kinds(one(trigger="badclip"))
    assert order.index("clean-model") < order.index("patch") < order.index("infected-model")
    graph = one(trigger="badclip")
    assert "patch" in [stage.kind for stage in graph.clean.needed_stages()]  # the clean model is scored with it too


def test_a_merge_is_scored_as_the_infected_model_and_the_attackers_own_beside_it() -> None:
    graph = one(trigger="badnets", task="night", merge={"tasks": ["shapes"]}, planting={"method": "badmerging"})
    assert isinstance(graph.infected.model, MergedModel)
    assert isinstance(graph.clean.model, MergedModel)
    assert graph.plain.model == graph.model
    assert graph.infected.model.parts[1] == graph.clean.model.parts[1]
    assert not graph.clean.model.parts[0].plants  # type: ignore[attr-defined]
    assert graph.plain in graph.outputs


def test_a_vector_of_another_model_is_applied_and_the_own_one_is_no_transfer() -> None:
    found = graphs(search={"axes": {"attack": ["badnets", "blended"], "source": ["badnets", "blended"]}})
    assert set(found) == {("badnets", None), ("badnets", "blended"), ("blended", None), ("blended", "badnets")}
    moved = found["badnets", "blended"].path
    assert moved.unlearn == found["blended", None].path.unlearn
    assert moved.infected == found["badnets", None].path.infected
    assert {moved.gate.infected.backdoor.trigger, moved.unlearn.gate.infected.backdoor.trigger} == {
        "badnets",
        "blended",
    }


def test_the_clean_vector_of_a_map_is_shared_by_all_attacks() -> None:
    found = graphs(disentanglement={"points": 3})
    maps = [graph.map for graph in found.values()]
    assert None not in maps
    clean = {row.clean_vector.fingerprint for found_map in maps if found_map for row in found_map.rows}
    trigger = {row.trigger_vector.fingerprint for found_map in maps if found_map for row in found_map.rows}
    assert (len(clean), len(trigger)) == (1, 2)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "preset": ({"trigger": "cleanclip/badnet"}, "attacks.a: unknown preset 'cleanclip/badnet'; did you mean"),
    "patch too large": ({"trigger": "badnets", "parameters": {"patch_size": 225}}, "patch_size"),
    "place outside": (
        {"trigger": "badnets-square", "parameters": {"patch_size": 24, "place": "fixed", "at": [210, 0]}},
        "attacks.a: trigger 'badnets-square'",
    ),
    "ratio": ({"trigger": "blended-text", "parameters": {"ratio": 1.5}}, "ratio"),
    "planting": ({"trigger": "sig", "planting": {"method": "stealthy"}}, "attacks.a.planting: unknown planting"),
    "target": ({"trigger": "sig", "target": "red circel"}, "not a class of the evaluation set; did you mean"),
    "target of a task": ({"trigger": "sig", "task": "shapes"}, "attacks.a.target: 'red circle' is not a class"),
    "badmerging on pairs": ({"trigger": "sig", "planting": {"method": "badmerging"}}, "single-task setting"),
    "merge": (
        {"trigger": "sig", "task": "night", "merge": {"method": "tie", "tasks": ["shapes"]}},
        "attacks.a.merge: unknown",
    ),
    "learned on a task": ({"trigger": "badclip", "task": "night"}, "optimised on pairs"),
    "patch optimisation": (
        {"trigger": "badclip", "patch": {"parameters": {"epoch": 3}}},
        "attacks.a.patch.parameters:",
    ),
}


@pytest.mark.parametrize(("attack", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_planted_is_one_line_before_anything_runs(attack: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        one(**attack)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("axis", ["attack", "source"])
def test_an_attack_that_does_not_exist_is_no_value_of_an_axis(axis: str) -> None:
    with pytest.raises(
        SpecError, match=rf"^search.axes.{axis}: 'badnet' is not under 'attacks'; did you mean 'badnets'"
    ):
        graphs(search__axes={"attack": ["badnets"], "source": ["badnets"], axis: ["badnet"]})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"attacks": {"a": {"trigger": "sig", "target": "x", "task": "nihgt"}}}, "task 'nihgt' is not under 'tasks'"),
        (
            {"attacks": {"a": {"trigger": "sig", "target": "x", "merge": {"tasks": ["night"]}}}},
            "merging is of the single-task setting",
        ),
        (
            {"attacks": {"a": {"trigger": "sig", "target": "x", "task": "night", "merge": {"tasks": ["night"]}}}},
            "is the attack's own task",
        ),
        ({"disentanglement": {"low": 1, "high": 0}}, "low 1.0 is not below high 0.0"),
        ({"tasks": {"x": {}}}, "give either 'url' or 'synthetic'"),
    ],
)
def test_a_spec_that_contradicts_itself_does_not_load(changes: dict[str, Any], words: str) -> None:
    settings: dict[str, Any] = {"tasks": TASKS, **changes}
    if "attacks" in changes:
        settings["search"] = {"axes": {"attack": ["a"]}}
    with pytest.raises(ValidationError) as caught:
        spec(**settings)
    assert words in str(caught.value)


def test_the_other_task_of_a_merge_afterwards_is_one_that_the_model_does_not_have() -> None:
    tasks = {**TASKS, "sketches": {"synthetic": "sketches"}}
    attack = {"trigger": "badnets", "target": "red circle", "task": "night", "merge": {"tasks": ["shapes"]}}
    changes = {"attacks": {"a": attack}, "search": {"axes": {"attack": ["a"]}}, "tasks": tasks}
    (graph,) = graphs(**changes, evaluation={"downstream": ["merged", "int8"]}).values()
    assert graph.downstream is not None
    another = graph.downstream.another
    assert another is not None
    assert (another.corpus.task, another.plants, another.classify) == ("sketches", (), True)
    assert another in list(graph.downstream.inputs())
    (without,) = graphs(**changes, evaluation={"downstream": ["int8"]}).values()
    assert without.downstream is not None
    assert without.downstream.another is None

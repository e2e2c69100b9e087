"""Which trials a rehearsal has, and that errors of the spec show in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.selection import ranked
from tbar_ray.planning.miniature import POISONED, TRAINED
from tbar_ray.planning.rehearsal import RehearsalPlanner, covering, repeated
from tbar_ray.planning.trial import make_trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.infected import GivenInfectedModel
from tbar_ray.stages.node import stages_in_order
from tbar_ray.stages.poison import InfectedModel
from tests.specs import content, spec

ATTACKS = {name: {"trigger": "badnets", "target": "red circle"} for name in ("a", "b", "c")}


def test_every_attack_source_and_method_is_tried_once() -> None:
    axes: dict[str, Any] = {
        "attack": ["a", "b", "c"], "source": ["a", "b", "c"], "method": ["tbar", "gradient-ascent"],
        "forget_size": [10, 20], "seed": [0, 1],
    }  # fmt: skip
    cells = covering(spec(attacks=ATTACKS, search={"axes": axes}))
    assert [(cell["attack"], cell["source"], cell["method"]) for cell in cells] == [
        ("a", "b", "tbar"), ("b", "c", "gradient-ascent"), ("c", "a", "tbar"),
    ]  # fmt: skip
    assert all((cell["forget_size"], cell["seed"]) == (20, 1) for cell in cells)


def test_every_search_for_the_trigger_is_tried_and_being_told_too() -> None:
    axes: dict[str, Any] = {"attack": ["badnets"], "inversion": [None, "decree", "universal-noise"]}
    cells = covering(spec(search={"axes": axes}))
    assert [cell["inversion"] for cell in cells] == [None, "decree", "universal-noise"]


def test_of_a_range_the_middle_is_tried() -> None:
    axes: dict[str, Any] = {
        "tbar.learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
        "tbar.steps": {"low": 1, "high": 4},
        "evaluation.validation_fraction": {"low": 0.2, "high": 0.6},
    }
    (cell,) = covering(spec(attack="badnets", search={"sampler": "tpe", "trials": 5, "axes": axes}))
    assert cell["tbar.learning_rate"] == pytest.approx(1e-5)
    assert cell["tbar.steps"] in (2, 3)
    assert isinstance(cell["tbar.steps"], int)
    assert cell["evaluation.validation_fraction"] == pytest.approx(0.4)


def test_a_search_becomes_a_grid_of_trials_in_miniature(tmp_path: Path) -> None:
    made = spec(
        search={"sampler": "tpe", "study": "per method", "trials": 9, "concurrency": 8, "mean_over": ["attack"],
                "axes": {"method": ["tbar", "par"], "attack": ["badnets", "blended"]}},
        defender={"clean_pairs": 100},
    )  # fmt: skip
    planner = RehearsalPlanner(made, tmp_path)
    assert (planner.spec.search.sampler, planner.spec.search.concurrency) == ("grid", 2)
    found = planner.grid()
    assert {(each.trial.attack, each.trial.method) for each in found} == {("badnets", "tbar"), ("blended", "par")}
    assert [each.graph.path.unlearn.clean_pairs for each in found] == [0, 8]
    assert all(each.graph.path.unlearn.work <= 16 for each in found)
    assert planner.foundation() == planner.foundation(found[0].trial.spec)


GIVEN: dict[str, Any] = {
    "data": {"train": "/nowhere/{0..3}.tar", "evaluation": "/nowhere/imagenet1k"},
    "model": {"architecture": "tbar-GN-pico", "pretrained": "scenes"},
    "attacks": {
        "first": {"trigger": "badnets", "target": "banana"},
        "other-trigger": {"trigger": "sig", "target": "banana"},
        "other-target": {"trigger": "badnets", "target": "tench", "parameters": {"patch_size": 4}},
        "covers": {"trigger": "wanet", "target": "banana", "parameters": {"cross_ratio": 2}},
        "learned": {"trigger": "badclip/badclip", "target": "banana"},
        "consistent": {"trigger": "badnets", "target": "banana", "poisoning": "label-consistent"},
        "stealthy": {"trigger": "badnets", "target": "banana", "planting": {"method": "stealth"}},
        "rarer": {"trigger": "badnets", "target": "banana", "poison": {"count": 3}},
    },
}


def given(tried: list[str], **changes: Any) -> CampaignSpec:
    axes = {"attack": tried, **changes.pop("axes", {})}
    return spec(**{**GIVEN, **changes, "search": {"axes": axes}})


def planner_of(made: CampaignSpec, folder: Path) -> RehearsalPlanner:
    planner = RehearsalPlanner(made, folder)
    planner.stand_ins.write(made.data)
    planner.stand_ins.write_weights(empty=True)
    return planner


def test_attacks_that_repeat_a_planting_are_found() -> None:
    made = given(list(GIVEN["attacks"]))
    trials = [make_trial(made, {"attack": name}).spec for name in made.attacks]
    assert repeated(trials) == {"other-trigger", "other-target"}
    assert repeated(trials[1:]) == {"other-target"}, "the first of them is planted"


@pytest.mark.parametrize(
    "changes",
    [
        {"poison": {"plant": "together", "count": 2}},
        {"data": content()["data"], "model": {"architecture": "tbar-GN-pico", "pretrained": "scenes"}},
        {"model": {"architecture": "tbar-GN-pico", "training": {"epochs": 1}}},
    ],
)
def test_where_plantings_are_shared_or_little_none_is_left_out(changes: dict[str, Any]) -> None:
    attacks = {name: {**GIVEN["attacks"][name], "target": "red circle"} for name in ("first", "other-trigger")}
    made = given(list(attacks), **{"attacks": attacks, **changes})
    assert repeated([make_trial(made, {"attack": name}).spec for name in attacks]) == frozenset()


def test_a_repeated_planting_is_not_run_and_its_map_is_not_drawn_again(tmp_path: Path) -> None:
    made = given(["first", "other-trigger"], disentanglement={"training": {"epochs": 3}})
    first, second = planner_of(made, tmp_path).grid()
    assert isinstance(first.graph.model, InfectedModel)
    assert isinstance(second.graph.model, GivenInfectedModel)
    assert second.trial.spec.attacks["other-trigger"].infected == str(
        tmp_path / "weights" / "tbar-GN-pico-infected.safetensors"
    )
    kinds = [{stage.kind for stage in stages_in_order(each.graph.outputs)} for each in (first, second)]
    assert kinds[0] - kinds[1] == {
        "infected-model", "component-vector", "references", "disentanglement-row", "disentanglement", "geometry",
    }  # fmt: skip
    assert kinds[1] <= kinds[0]


def test_a_method_that_needs_what_the_attacker_trained_on_has_its_attack_planted(tmp_path: Path) -> None:
    changes = {"defender": {"clean_pairs": 8, "training_pairs": 8}, "axes": {"method": ["tbar", "abl"]}}
    first, second = planner_of(given(["first", "other-trigger"], **changes), tmp_path).grid()
    assert (first.trial.method, second.trial.method) == ("tbar", "abl")
    assert isinstance(second.graph.model, InfectedModel)


def test_the_rebound_is_tried_at_two_rates_once(tmp_path: Path) -> None:
    rebound = {"sweep": [0.333, 3]}
    made = given(["first", "other-trigger"], evaluation={"rebound": rebound})
    assert [len(each.graph.rebounds) for each in planner_of(made, tmp_path).grid()] == [2, 1]


def test_a_label_consistent_attack_finds_images_of_its_target_among_the_few_pairs(tmp_path: Path) -> None:
    made = given(["first"])
    stand_ins = planner_of(made, tmp_path).stand_ins
    corpus = Corpus.open(str(stand_ins.data(made.data).train))
    for seed in range(5):
        chosen = ranked(corpus.keys, seed, "training pairs")[:TRAINED]
        captions = [corpus.caption(corpus.index_of(key)) or "" for key in chosen]
        assert sum("banana" in caption for caption in captions) >= POISONED


def test_resources_are_kept_for_a_cluster(tmp_path: Path) -> None:
    made = spec(resources={"training_cpus": 8, "gpus": 1})
    assert RehearsalPlanner(made, tmp_path).spec.resources == made.resources
    assert RehearsalPlanner(made, tmp_path, cpus=2).spec.resources.training_cpus == 2

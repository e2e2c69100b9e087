from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from tbar_ray.planning.foundation import lay_foundation
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.merge import MergedModel
from tbar_ray.stages.node import stages_in_order
from tests.specs import spec

BOTH = ["badnets", "blended"]


def graphs(**changes: Any) -> list[TrialGraph]:
    return [planned.graph for planned in Planner(spec(**changes)).grid()]


def kinds(made: list[TrialGraph]) -> Counter[str]:
    return Counter(stage.kind for stage in stages_in_order([graph.path for graph in made]))


def distinct(made: list[TrialGraph], *fields: str) -> int:
    found = set()
    for graph in made:
        node: Any = graph
        for field in fields:
            node = getattr(node, field)
        found.add(node.fingerprint)
    return len(found)


def test_trials_of_a_grid_share_stages() -> None:
    made = graphs(search__axes={"attack": BOTH, "forget_size": [10, 20], "clean_fraction": [0, 0.5]})
    assert len(made) == 8
    assert kinds(made) == {
        "corpus": 1, "evaluation-set": 1, "clean-model": 1, "infected-model": 2, "scores": 4, "gate": 2,
        "vector": 8, "path": 8,
    }  # fmt: skip


def test_trials_of_one_alpha_share_the_vector() -> None:
    made = graphs(search__axes={"attack": BOTH, "alpha": [0.1, 0.5, 1]})
    found = kinds(made)
    assert (found["path"], found["vector"], found["infected-model"]) == (6, 2, 2)
    assert sorted({graph.path.alphas for graph in made}) == [(0.1,), (0.5,), (1.0,)]


def test_a_seed_plants_another_backdoor_in_the_same_clean_model() -> None:
    made = graphs(search__axes={"attack": ["badnets"], "seed": [0, 1, 2]})
    found = kinds(made)
    assert (found["clean-model"], found["corpus"], found["evaluation-set"]) == (1, 1, 1)
    assert (found["infected-model"], found["vector"], found["path"]) == (3, 3, 3)
    assert {graph.path.unlearn.backdoor.seed for graph in made} == {0, 1, 2}


def test_a_campaign_seed_leaves_data_and_clean_model() -> None:
    made = graphs(seed=0) + graphs(seed=1)
    found = kinds(made)
    assert (found["clean-model"], found["corpus"], found["infected-model"]) == (1, 1, 4)


def test_what_an_axis_touches() -> None:
    rates = graphs(search__axes={"attack": ["badnets"], "poisoning_rate": [0.01, 0.1]})
    assert distinct(rates, "infected") == 2
    assert distinct(rates, "clean") == 1
    speeds = graphs(search__axes={"attack": ["badnets"], "learning_rate": [1e-5, 1e-4]})
    assert distinct(speeds, "infected") == 1
    assert distinct(speeds, "path", "unlearn") == 2
    assert [graph.path.unlearn.parameters["learning_rate"] for graph in speeds] == [1e-5, 1e-4]


@pytest.mark.parametrize(
    ("method", "field", "count"),
    [
        ("tbar", "clean_pairs", 1), ("tbar", "training_pairs", 1), ("cleanclip", "clean_pairs", 2),
        ("cleanclip", "training_pairs", 1), ("abl", "training_pairs", 2), ("abl", "clean_pairs", 1),
    ],
)  # fmt: skip
def test_data_that_a_method_does_not_need_are_no_part_of_its_vector(method: str, field: str, count: int) -> None:
    axes = {"attack": ["badnets"], "method": [method]}
    made = [graph for pairs in (50, 60) for graph in graphs(search__axes=axes, defender={field: pairs})]
    assert distinct(made, "path", "unlearn") == count


def test_a_choice_of_alpha_computes_no_model_again() -> None:
    made = graphs(evaluation={"min_retention": 0.9}) + graphs(evaluation={"min_retention": 0.8})
    found = kinds(made)
    assert (found["path"], found["vector"], found["scores"], found["gate"]) == (4, 2, 4, 2)


def test_two_campaigns_share_what_they_have_in_common() -> None:
    small = stages_in_order([graph.path for graph in graphs(search__axes={"attack": BOTH, "forget_size": [10]})])
    large = stages_in_order([graph.path for graph in graphs(search__axes={"attack": BOTH, "forget_size": [10, 20]})])
    assert {stage.artifact for stage in small} < {stage.artifact for stage in large}


def test_a_pretrained_model_needs_no_training() -> None:
    made = graphs(model={"architecture": "ViT-B-32", "pretrained": "openai"})
    assert kinds(made)["clean-model"] == 0
    assert kinds(made)["infected-model"] == 2
    assert made[0].clean.model.fingerprint == made[1].clean.model.fingerprint


def test_training_goes_on_from_given_weights() -> None:
    fresh = graphs()[0].clean.model
    architecture, training = fresh.architecture, fresh.training.model_dump(mode="json", exclude_unset=True)
    made = graphs(model={"architecture": "tbar-GN-pico", "pretrained": "scenes", "training": training})
    start = made[0].clean.model
    assert kinds(made)["clean-model"] == 1
    assert start.start.weights == "scenes"
    as_fresh = start.model_copy(update={"start": None, "architecture": architecture})
    assert as_fresh.fingerprint == fresh.fingerprint != start.fingerprint
    assert "start" not in fresh.identity(), "models trained before keep their names"


def test_methods_with_one_base_share_its_stage() -> None:
    settings = {"steps": 3, "learning_rate": 1e-4}
    methods = {
        "tbar": {"parameters": settings},
        "head": {"method": "tbar-layers", "parameters": {**settings, "part": "head"}},
        "late": {"method": "tbar-layers", "parameters": {**settings, "part": "late"}},
        "faster": {"method": "tbar-layers", "parameters": {**settings, "learning_rate": 2e-4}},
    }
    made = graphs(methods=methods, search__axes={"attack": ["badnets"], "method": list(methods)})
    plain, head, late, faster = (graph.path.unlearn for graph in made)
    assert head.start == late.start == plain
    assert faster.start.fingerprint != plain.fingerprint
    assert plain.start is None
    assert "start" not in plain.identity(), "vectors found before keep their names"
    assert kinds(made)["vector"] == 5, "one for each trial, and the base of the faster one"


def test_weights_of_the_package_are_known_by_their_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {"tbar-RN-tiny": {"mine": "0123456789abcdef" * 4}}
    monkeypatch.setattr("tbar_ray.models.shipped.shipped_hashes", lambda _folder: hashes)
    wanted = {"architecture": "tbar-RN-tiny", "pretrained": "mine"}
    clean = graphs(model=wanted)[0].clean.model
    assert clean.identity()["content"] == "0123456789abcdef"
    hashes["tbar-RN-tiny"]["mine"] = "fedcba9876543210" * 4
    assert graphs(model=wanted)[0].clean.model.fingerprint != clean.fingerprint


def test_scenes_of_a_spec_are_those_of_all_its_data() -> None:
    made = spec(data__synthetic__scenes="rich", data__synthetic__retrieval=5)
    base = lay_foundation(made)
    assert base.retrieval is not None
    assert {stage.identity()["scenes"] for stage in (base.corpus, base.evaluation, base.retrieval)} == {"rich"}


def test_parts_agree_with_each_other() -> None:
    for graph in graphs():
        path = graph.path
        assert path.infected == graph.infected == path.unlearn.gate.infected
        assert path.unlearn.gate.clean == graph.clean
        assert path.unlearn.infected == graph.infected.model
        assert graph.clean.split_seed == graph.infected.split_seed
        assert graph.clean.backdoor == graph.infected.backdoor


def test_statistics_of_edited_models_are_an_axis_and_reach_paths_maps_and_merges() -> None:
    changes: dict[str, Any] = {
        "attacks": {"a": {"trigger": "badnets", "target": "circle", "task": "shapes", "merge": {"tasks": ["night"]}}},
        "tasks": {"night": {"synthetic": "night"}, "shapes": {"synthetic": "shapes"}},
        "disentanglement": {"points": 3},
        "evaluation__statistics_images": 100,
        "search__axes": {"attack": ["a"], "evaluation.statistics": ["reestimated", "as_applied"]},
    }
    own, applied = graphs(**changes)
    for graph, statistics, merged in ((own, "reestimated", 100), (applied, "as_applied", 0)):
        assert (graph.path.statistics, graph.path.statistics_images) == (statistics, 100)
        assert graph.map is not None
        assert {(row.statistics, row.statistics_images) for row in graph.map.rows} == {(statistics, 100)}
        assert isinstance(graph.infected.model, MergedModel)
        assert graph.infected.model.statistics_images == merged
    assert own.model == applied.model  # planting always ends with statistics of its own
    assert own.path.fingerprint != applied.path.fingerprint


@pytest.mark.parametrize(("field", "value"), [("statistics", "stale"), ("statistics_images", 1)])
def test_statistics_that_do_not_exist_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"evaluation.{field}"):
        graphs(**{f"evaluation__{field}": value})


def test_models_that_one_backdoor_is_planted_in_share_how_visible_it_is() -> None:
    rates = graphs(search__axes={"attack": BOTH, "poisoning_rate": [0.01, 0.1], "forget_size": [10, 20]})
    assert distinct(rates, "visibility") == 2
    assert {graph.visibility.size for graph in rates} == {64}
    assert all(graph.visibility.backdoor == graph.infected.backdoor for graph in rates)


def test_how_visible_a_trigger_is_tells_no_trials_apart() -> None:
    """Trials of earlier versions, which did not measure it, keep their fingerprints."""
    (planned, _) = Planner(spec()).grid()
    graph = planned.graph
    assert graph.visibility in graph.outputs
    assert graph.results == [graph.path]
    larger = replace(planned, graph=replace(graph, visibility=graph.visibility.model_copy(update={"size": 128})))
    assert larger.fingerprint == planned.fingerprint

"""Rebound as a stage: which models are fine-tuned on what, and what of it reaches a trial's record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tbar_ray.errors import DataError
from tbar_ray.evaluation import rebound as evaluation
from tbar_ray.execution.stage_task import compute
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.planning.planner import Planner
from tbar_ray.stages import rebound
from tbar_ray.stages.clean_pairs import defenders_keys, unused_pairs
from tbar_ray.stages.kept import kept_model
from tbar_ray.stages.node import stages_in_order
from tbar_ray.stages.rebound import REBOUND, MeasureRebound
from tbar_ray.store.store import Store
from tests.models.tiny import same, snapshot
from tests.specs import spec
from tests.stages.cleaned import WANTED
from tests.stages.computing import compute_all, compute_trial


def stages(**changes: Any) -> dict[str, MeasureRebound]:
    (found,) = Planner(spec(**{**WANTED, **changes})).plan({}).graph.rebounds
    return dict(found)


def content(stage: MeasureRebound, cleaned: Store) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((cleaned.fetch(stage.artifact) / REBOUND).read_text())
    return found


def test_each_curve_begins_with_the_scores_that_the_trial_has(cleaned: Store) -> None:
    made = compute_trial(spec(**WANTED), {}, cleaned)
    (found,) = made.rebounds
    assert found == made.rebound
    assert (found.learning_rate, found.pairs, found.steps) == (1e-4, 16, (0, 1, 2))
    assert found.removed is not None
    assert found.clean is not None
    assert found.removed.points[0].scores == made.removed
    assert found.infected.points[0].scores == made.infected
    assert found.clean.points[0].scores == made.clean
    assert found.removed.points[-1].scores != found.removed.points[0].scores
    assert found.removed.reestimated is None, "the model has no running statistics"


def test_the_model_that_others_use_is_as_it_was(cleaned: Store) -> None:
    stage = stages()["removed"]
    held = snapshot(kept_model(stage.scorer.model, cleaned, torch.device("cpu")))
    assert same(held, snapshot(create_model("tbar-GN-pico", pretrained="scenes")))


def test_pairs_are_none_of_the_defenders_and_do_not_name_the_target(cleaned: Store) -> None:
    stage = stages()["removed"]
    assert stage.path is not None
    used = defenders_keys(stage.path.unlearn, cleaned)
    assert len(used) == 8
    preprocess = preprocessing(create_model("tbar-GN-pico"))
    found = unused_pairs(stage.infected, stage.scorer, 100, 0, used, cleaned, preprocess)
    assert len(found.keys) == 60 - 8 - found.naming
    assert not used & set(found.keys)
    assert not any("red circle" in caption for caption in found.pairs.captions)
    data = stage.scorer.open_data(cleaned)
    assert not set(data.keys(range(len(data.labels)))) & set(found.keys)


def test_a_cleaned_model_gets_other_pairs_than_its_defender_had(
    cleaned: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[frozenset[str]] = []

    def noted(infected: Any, scorer: Any, count: int, seed: int, used: frozenset[str], *more: Any) -> Any:
        asked.append(used)
        return unused_pairs(infected, scorer, count, seed, used, *more)

    monkeypatch.setattr(rebound, "unused_pairs", noted)
    found = stages()
    for stage in found.values():
        compute(stage.model_copy(update={"pairs": 18}), cleaned)
    path = found["removed"].path
    assert path is not None
    assert list(found) == ["removed", "infected", "clean"]
    assert asked == [defenders_keys(path.unlearn, cleaned), frozenset(), frozenset()]


def test_without_pairs_the_stage_ends_with_one_line(cleaned: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = stages(seed=0)["removed"].model_copy(update={"pairs": 17})
    corpus, _, _ = stage.infected.training_samples(cleaned)
    monkeypatch.setattr(type(stage.infected), "poisoned_keys", lambda *_: frozenset(corpus.keys))
    with pytest.raises(DataError, match="rebound: no clean pairs are left of 60 samples: 60 are poisoned or in use"):
        compute(stage, cleaned)


def test_it_is_deterministic_and_reports_its_training(cleaned: Store, tmp_path: Path) -> None:
    stage, again, told = stages()["clean"], Store(str(tmp_path)), list[dict[str, Any]]()
    for needed in stage.needed_stages():
        compute_all(needed, again)
    compute(stage, again, report=told.append)
    assert content(stage, again) == content(stage, cleaned)
    assert told[-1]["done"] == told[-1]["total"] == 2
    assert again.facts(stage.artifact)["facts"]["training"]["samples"] == 16


def test_where_no_alpha_keeps_ca_there_is_no_cleaned_model(cleaned: Store) -> None:
    harsh = {"alpha": [900, 1000], "evaluation": {**WANTED["evaluation"], "min_retention": 1}}
    made = compute_trial(spec(**{**WANTED, **harsh}), {}, cleaned)
    assert made.status == "infeasible"
    assert made.rebound is not None
    assert (made.rebound.removed, made.rebound.pairs) == (None, None)
    assert made.rebound.infected.points[0].scores == made.infected


def test_a_backdoor_that_is_still_there_can_be_left_alone(cleaned: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {**WANTED["evaluation"]["rebound"], "eligible_only": True}
    changed = {"evaluation": {**WANTED["evaluation"], "rebound": wanted}}
    every, some = stages(), stages(**changed)
    assert some["removed"] != every["removed"]
    assert (some["infected"], some["clean"]) == (every["infected"], every["clean"]), "what it is compared with stays"
    asr = content(every["removed"], cleaned)["points"][0]["scores"]["asr"]["value"]
    for most, follows in ((asr, True), (asr - 0.01, False)):
        monkeypatch.setattr(evaluation, "ELIGIBLE", most)
        told = list[dict[str, Any]]()
        stage = some["removed"].model_copy(update={"seed": 1 + follows})  # a stage of its own for each
        compute(stage, cleaned, report=told.append)
        assert bool(content(stage, cleaned)) == follows
        assert any("the backdoor is still there" in each.get("note", "") for each in told) != follows
    compute(some["removed"], cleaned)
    made = compute_trial(spec(**{**WANTED, **changed}), {}, cleaned)
    assert made.rebound is not None
    assert (made.rebound.removed, made.rebound.pairs) == (None, None)
    assert made.rebound.infected.points[0].scores == made.infected
    cleaned.discard(some["removed"].artifact)


def test_a_model_that_was_fine_tuned_with_all_others_is_not_fine_tuned_again(
    cleaned: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = stages()["removed"]
    same = every.model_copy(update={"eligible_only": True})
    monkeypatch.setattr(evaluation, "ELIGIBLE", 1.0)
    monkeypatch.setattr(rebound, "unused_pairs", None)  # nothing can be trained
    compute(same, cleaned)
    assert content(same, cleaned) == content(every, cleaned)
    assert cleaned.facts(same.artifact)["facts"] == cleaned.facts(every.artifact)["facts"]


def test_models_that_are_compared_with_are_measured_once_for_all_methods_and_forget_sets() -> None:
    axes = {"attack": ["badnets"], "method": ["tbar", "gradient-ascent"], "forget_size": [8, 9]}
    graphs = [planned.graph for planned in Planner(spec(**{**WANTED, "search": {"axes": axes}})).grid()]
    found = [stage for graph in graphs for stage in stages_in_order(graph.outputs) if stage.kind == "rebound"]
    assert len({stage.fingerprint for stage in found}) == 4 + 2
    assert {stage.scorer.role for stage in found if isinstance(stage, MeasureRebound)} == {"infected", "clean"}


def test_a_sweep_adds_learning_rates_after_the_own_one() -> None:
    wanted = {**WANTED["evaluation"]["rebound"], "sweep": [3, 1, 0.333]}
    changed = {**WANTED, "evaluation": {"rebound": wanted}}
    planned = Planner(spec(**changed)).plan({})
    rates = [each["removed"].options.learning_rate for each in planned.graph.rebounds]
    assert rates == [1e-4, 3.33e-5, 3e-4]
    direct = {**changed, "evaluation": {"rebound": {**wanted, "sweep": [], "learning_rate": 3e-4}}}
    assert planned.graph.rebounds[2] == Planner(spec(**direct)).plan({}).graph.rebounds[0]
    assert sum(stage.kind == "rebound" for stage in planned.graph.results) == 9


def test_without_a_clean_model_and_without_rebound_there_is_less_to_measure() -> None:
    assert set(stages(model={"architecture": "tbar-GN-pico"})) == {"removed", "infected"}
    graph = Planner(spec(**{**WANTED, "evaluation": {}})).plan({}).graph
    assert graph.rebounds == ()
    assert graph.results == [graph.path]

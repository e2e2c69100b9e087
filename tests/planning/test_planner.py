"""Which stages an axis changes, which trials are one, and how often things are planned."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.errors import DataError, SpecError
from tbar_ray.planning import planner as planner_module
from tbar_ray.planning import preflight
from tbar_ray.planning.planner import PlannedTrial, Planner, campaign_fingerprint
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.node import Stage, stages_in_order
from tests.specs import spec

REMOVAL = {"vector", "path"}
PLANTING = {"infected-model", "scores of infected", "gate", *REMOVAL}
BUDGETED = {*PLANTING, "scores of clean"}
ATTACK = {*BUDGETED, "visibility"}
TRAINING = {*BUDGETED, "clean-model"}
CHANGES: dict[str, tuple[list[Any], set[str]]] = {
    "model.training.epochs": ([1, 2], TRAINING),
    "model.architecture": (["tbar-RN-tiny", "tbar-ViT-tiny"], {*TRAINING, "visibility"}),
    "data.synthetic.samples": ([400, 500], {*TRAINING, "corpus"}),
    "attacks.badnets.parameters.patch_size": ([8, 16], ATTACK),
    "attacks.badnets.target": (["red circle", "blue circle"], ATTACK),
    "seed": ([0, 1], ATTACK),
    "poison.training.optimisation.learning_rate": ([1e-5, 1e-4], PLANTING),
    "poison.rate": ([0.01, 0.1], PLANTING),
    "poisoning_rate": ([0.01, 0.1], PLANTING),
    "forget.size": ([10, 20], REMOVAL),
    "forget_size": ([10, 20], REMOVAL),
    "clean_fraction": ([0, 0.5], REMOVAL),
    "tbar.learning_rate": ([1e-5, 1e-4], REMOVAL),
    "learning_rate": ([1e-5, 1e-4], REMOVAL),
    "unlearning.parameters.steps": ([3, 4], REMOVAL),
    "method": (["tbar", "tbar-layers"], REMOVAL),
    "alpha": ([0.1, 0.2], {"path"}),
    "evaluation.min_retention": ([0.9, 0.8], {"path"}),
    "evaluation.validation_fraction": ([0.5, 0.4], {*REMOVAL, "scores of clean", "scores of infected", "gate"}),
    "resources.readers": ([1, 2], set()),
    "attacks.blended.parameters.ratio": ([0.1, 0.2], set()),
    "cleanclip.steps": ([3, 4], set()),
}


def kind_of(stage: Stage) -> str:
    return f"scores of {stage.role}" if isinstance(stage, Evaluate) else stage.kind


def stages_of(planned: PlannedTrial) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for stage in stages_in_order(planned.graph.outputs):
        found.setdefault(kind_of(stage), set()).add(stage.fingerprint)
    return found


@pytest.mark.parametrize("axis", CHANGES)
def test_an_axis_changes_the_stages_that_it_should_and_no_other(axis: str) -> None:
    (low, high), kinds = CHANGES[axis]
    planner = Planner(spec())
    one, other = (planner.plan({"attack": "badnets", axis: value}) for value in (low, high))
    before, after = stages_of(one), stages_of(other)
    assert before.keys() == after.keys()
    assert {kind for kind in before if before[kind] != after[kind]} == kinds
    assert (one.fingerprint != other.fingerprint) == bool(kinds)


@pytest.mark.parametrize(
    ("alias", "path", "value"),
    [
        ("forget_size", "forget.size", 7),
        ("clean_fraction", "forget.clean_fraction", 0.25),
        ("poisoning_rate", "poison.rate", 0.2),
        ("method", "unlearning.method", "tbar-layers"),
        ("learning_rate", "tbar.learning_rate", 3e-5),
        ("learning_rate", "methods.tbar.parameters.learning_rate", 3e-5),
        ("alpha", "methods.tbar.alpha", [0.3]),
    ],
)
def test_an_alias_and_its_path_are_one_trial(alias: str, path: str, value: Any) -> None:
    planner = Planner(spec())
    plain, by_alias, by_path = (planner.plan(values) for values in ({}, {alias: value}, {path: value}))
    assert by_alias.fingerprint == by_path.fingerprint != plain.fingerprint


def test_cells_that_cannot_differ_are_one_trial() -> None:
    axes = {
        "attack": ["badnets", "blended"],
        "method": ["tbar", "cleanclip"],
        "tbar.steps": [3, 4],
        "attacks.badnets.parameters.patch_size": [8, 16, 24],
        "alpha": [0.5, 1],
    }
    found = Planner(spec(search__axes=axes, defender={"clean_pairs": 9})).grid()
    cells = Counter((planned.trial.attack, planned.trial.method) for planned in found)
    assert cells == {
        ("badnets", "tbar"): 2 * 3 * 2,
        ("blended", "tbar"): 2 * 2,
        ("badnets", "cleanclip"): 3,
        ("blended", "cleanclip"): 1,
    }
    assert len({planned.fingerprint for planned in found}) == len(found)


def test_values_that_are_written_twice_are_one_trial_and_the_first_are_kept() -> None:
    axes = {"forget_size": [10, 20, 10], "attack": ["blended", "badnets"], "clean_fraction": [0, 0.5, 0.0]}
    found = Planner(spec(search__axes=axes)).grid()
    settings = [planned.trial.settings for planned in found]
    cells = [(s["attack"], s["forget_size"], s["clean_fraction"]) for s in settings]
    of_one = [(10, 0), (10, 0.5), (20, 0), (20, 0.5)]
    assert cells == [(attack, *rest) for rest in of_one for attack in ("blended", "badnets")]
    few = Planner(spec(search__axes=axes, search__trials=3)).grid()
    assert [planned.fingerprint for planned in few] == [planned.fingerprint for planned in found[:3]]


def test_an_example_of_a_sampler_is_the_first_value_and_the_low_end() -> None:
    axes = {"attack": ["blended", "badnets"], "method": ["tbar", "cleanclip"], "tbar.steps": {"low": 2, "high": 9}}
    search = {"sampler": "random", "trials": 5, "axes": axes}
    (example,) = Planner(spec(search=search)).examples()
    assert (example.trial.attack, example.trial.method, example.trial.settings["tbar.steps"]) == ("blended", "tbar", 2)
    own = Planner(spec(search={**search, "study": "per method"})).examples()
    assert [planned.trial.method for planned in own] == ["tbar", "cleanclip"]
    assert ["tbar.steps" in planned.trial.settings for planned in own] == [True, False]


def test_a_bound_to_beat_is_kept_with_the_trial() -> None:
    planned = Planner(spec()).plan({}, to_beat=0.25)
    assert planned.trial.to_beat == planned.graph.path.to_beat == 0.25


def test_data_that_are_not_there_are_missing_or_an_error(tmp_path: Path) -> None:
    axes = {"attack": ["badnets"], "data.train": [str(tmp_path / "a"), str(tmp_path / "b")]}
    made = spec(data={"train": str(tmp_path / "a"), "evaluation": str(tmp_path / "e")}, search__axes=axes)
    planner = Planner(made, without_data=True)
    before = planner.missing
    planner.grid()
    assert before == ()
    assert len(planner.missing) == 3, "a, e and b, each once"
    assert {line.split()[-1] for line in planner.missing} >= {f"{tmp_path}/a", f"{tmp_path}/b"}
    with pytest.raises(DataError, match="no such shard"):
        Planner(made).plan({})


RATES = [1e-6 * (i + 1) for i in range(1000)]


def test_a_thousand_learning_rates_are_checked_without_building_an_attack_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        original = getattr(module, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    for name in ("build_trigger", "build_planting", "_check_sizes", "_check_model_and_tasks", "build_method"):
        counted(preflight, name)
    counted(planner_module, "lay_foundation")
    counted(planner_module, "build_graph")
    planner = Planner(
        spec(search__axes={"attack": ["badnets"], "learning_rate": RATES, "forget_size": list(range(1, 21))})
    )
    preflight.check_campaign(planner)
    assert calls == {
        "build_trigger": 2, "build_planting": 2, "_check_model_and_tasks": 1, "lay_foundation": 1, "_check_sizes": 20,
        "build_method": 1 + 1 + 1000 + 20,
    }, "a sum over the axes, never their product"  # fmt: skip
    planned = Planner(spec(search__axes={"attack": ["badnets"], "learning_rate": RATES[:50]})).grid()
    assert len(planned) == calls["build_graph"] == 50
    assert calls["lay_foundation"] == 2


def test_a_campaigns_fingerprint_changes_with_what_it_computes_and_how_it_searches() -> None:
    made = spec()
    same = [
        spec(description="words"),
        spec(resources={"gpus": 1}),
        spec(resources={"readers": 7}),
        spec(resources={"checkpoint_minutes": 1}),
        spec(resources={"training_workers": 2, "training_gpus": 1}),
    ]
    other = [
        spec(seed=1),
        spec(forget__size=19),
        spec(resources={"trial_cpus": 2}),
        spec(search__trials=1),
        spec(name="x"),
    ]
    assert {campaign_fingerprint(each) for each in same} == {campaign_fingerprint(made)}
    assert len({campaign_fingerprint(each) for each in [made, *other]}) == 1 + len(other)
    assert len(campaign_fingerprint(made)) == 16


def test_a_value_that_is_not_allowed_is_no_trial() -> None:
    with pytest.raises(SpecError, match=r"forget_size 0, attack 'badnets': forget.size: Input should be"):
        Planner(spec()).plan({"forget_size": 0})


def test_a_measure_that_came_later_changes_no_campaign_that_does_not_ask_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, followed = spec(), spec(evaluation={"rebound": {}})
    before, after = campaign_fingerprint(plain), campaign_fingerprint(followed)
    assert before != after
    others = [
        spec(evaluation=wanted)
        for wanted in ({"rebound": {"steps": 400}}, {"rebound": {"eligible_only": True}}, {"downstream": ["int8"]})
    ]
    assert len({before, after, *map(campaign_fingerprint, others)}) == 5
    dumped = type(plain).model_dump

    def of_an_earlier_version(self: CampaignSpec, **options: Any) -> dict[str, Any]:
        content = dumped(self, **options)
        assert not {"rebound", "downstream"} & content["evaluation"].keys()
        return content

    monkeypatch.setattr(type(plain), "model_dump", of_an_earlier_version)
    assert campaign_fingerprint(plain) == before


def test_fields_that_came_later_change_no_campaign_that_does_not_give_them(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = spec()
    others = [
        spec(defender={"inversion": "decree"}),
        spec(inversions={"decree": {"images": 40}}),
        spec(data__synthetic__wrong_captions=0.1),
        spec(model__synthetic={"samples": 100}),
    ]
    assert len({campaign_fingerprint(each) for each in (plain, *others)}) == 5
    before, dumped = campaign_fingerprint(plain), type(plain).model_dump

    def of_an_earlier_version(self: CampaignSpec, **options: Any) -> dict[str, Any]:
        content = dumped(self, **options)
        assert "inversions" not in content
        assert "inversion" not in content["defender"]
        assert "synthetic" not in content["model"]
        assert not {"columns", "wrong_captions"} & {*content["data"], *content["data"]["synthetic"]}
        assert content["forget"] == {"size": 20, "clean_fraction": 0.0}
        return content

    monkeypatch.setattr(type(plain), "model_dump", of_an_earlier_version)
    assert campaign_fingerprint(plain) == before

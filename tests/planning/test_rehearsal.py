"""Which trials a rehearsal has, and that errors of the spec show in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.planning.rehearsal import RehearsalPlanner, check_tags, covering
from tests.specs import spec

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
    assert [each.graph.path.unlearn.clean_pairs for each in found] == [0, 16]
    assert all(each.graph.path.unlearn.work <= 16 for each in found)
    assert planner.foundation() == planner.foundation(found[0].trial.spec)


def test_resources_are_kept_for_a_cluster(tmp_path: Path) -> None:
    made = spec(resources={"training_cpus": 8, "gpus": 1})
    assert RehearsalPlanner(made, tmp_path).spec.resources == made.resources
    assert RehearsalPlanner(made, tmp_path, cpus=2).spec.resources.training_cpus == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"architecture": "ViT-B-32-quickgelu", "pretrained": "openia"}}, "model.pretrained: .*'openia'"),
        (
            {"model": {"architecture": "ViT-B-32", "pretrained": "laion2b_s34b_b79k"},
             "search": {"axes": {"attack": ["badnets"], "model.pretrained": ["laion2b_s34b_b79k", "datacomp_x"]}}},
            r"search.axes.model.pretrained: .*'datacomp_x'",
        ),
        (
            {"attacks": {"badnets": {"trigger": "badnets", "target": "red circle", "infected": "none"}},
             "search": {"axes": {"attack": ["badnets"]}}},
            r"attacks.badnets.infected: .*'none'",
        ),
    ],
)  # fmt: skip
def test_a_tag_that_does_not_exist_is_told_before_it_would_be_downloaded(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_tags(spec(**changes))

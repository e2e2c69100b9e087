"""Which axes have whole numbers only."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.planning.field_types import is_whole, types_at
from tests.specs import spec

ATTACKS: dict[str, Any] = {
    "badnets": {"trigger": "badnets", "target": "red circle"},
    "preset": {"trigger": "cleanclip/label-consistent", "target": "red circle"},
    "learned": {"trigger": "badclip", "target": "red circle"},
    "merged": {
        "trigger": "blended", "target": "red circle", "task": "night", "merge": {"method": "ties", "tasks": ["shapes"]},
        "planting": {"method": "stealth"},
    },
}  # fmt: skip
TASKS = {name: {"synthetic": name} for name in ("night", "shapes")}
METHODS = {"gentle": {"method": "tbar"}}


@pytest.mark.parametrize(
    ("axis", "whole"),
    [
        ("seed", True),
        ("forget_size", True),
        ("forget.size", True),
        ("model.training.epochs", True),
        ("evaluation.max_images", True),
        ("data.synthetic.samples", True),
        ("attacks.badnets.poison.count", True),
        ("poison.training.optimisation.warmup_steps", True),
        ("disentanglement.points", True),
        ("clean_fraction", False),
        ("poisoning_rate", False),
        ("alpha", False),
        ("learning_rate", False),
        ("poison.training.optimisation.learning_rate", False),
        ("poison.training.optimisation.compile", False),
        ("model.pretrained", False),
        ("attack", False),
        ("tbar.steps", True),
        ("gentle.steps", True),
        ("methods.gentle.parameters.steps", True),
        ("gentle.learning_rate", False),
        ("gentle.unknown", False),
        ("unknown.steps", False),
        ("attacks.badnets.parameters.patch_size", True),
        ("attacks.preset.parameters.patch_size", True),
        ("attacks.merged.parameters.ratio", False),
        ("attacks.none.parameters.ratio", False),
        ("attacks.learned.patch.parameters.epochs", True),
        ("attacks.learned.patch.parameters.margin", False),
        ("attacks.learned.patch.pairs", True),
        ("attacks.merged.merge.parameters.density", False),
        ("attacks.badnets.merge.parameters.density", False),
    ],
)
def test_an_axis_is_whole_where_its_field_is(axis: str, whole: bool) -> None:
    made = spec(attacks=ATTACKS, tasks=TASKS, methods=METHODS, search={}, attack="badnets")
    assert is_whole(made, axis, "tbar") == whole


def test_parameters_of_unlearning_are_those_of_the_trials_method() -> None:
    made = spec(methods=METHODS)
    assert is_whole(made, "unlearning.parameters.directions", "backdoor-directions")
    assert not is_whole(made, "unlearning.parameters.directions", "tbar")
    assert not is_whole(made, "unlearning.parameters.self_weight", "cleanclip")
    assert not is_whole(made, "unlearning.parameters.self_weight", "tbar")


def test_a_field_that_takes_fractions_too_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.planning.field_types.types_at", lambda *_: {int, float})
    assert not is_whole(spec(), "seed", "tbar")


def test_a_planting_and_a_merge_have_types_of_their_own() -> None:
    made = spec(attacks=ATTACKS, tasks=TASKS, search={}, attack="badnets")
    assert types_at(made, ("attacks", "merged", "merge", "parameters", "density")) == {float}
    assert types_at(made, ("attacks", "merged", "merge", "parameters", "none")) == set()
    assert types_at(made, ("evaluation", "max_asr")) == {float, type(None)}
    assert types_at(made, ("attacks", "badnets", "trigger")) == {str}
    assert types_at(made, ("data", "train", "0", "weight")) == {float}
    assert types_at(made, ("seed", "none")) == set()

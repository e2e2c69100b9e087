from __future__ import annotations

import pytest

from tbar_ray.report.infected import is_of_model, is_parameter, model_of
from tests.records.records import record


@pytest.mark.parametrize(
    ("axis", "of_model", "parameter"),
    [
        ("attack", True, False), ("seed", True, False), ("poisoning_rate", True, False),
        ("model.training.epochs", True, False), ("attacks.patch.parameters.patch_size", True, False),
        ("source", False, False), ("method", False, False), ("forget_size", False, False),
        ("clean_fraction", False, False), ("defender.clean_pairs", False, False), ("learning_rate", False, True),
        ("tbar.steps", False, True), ("unlearning.parameters.steps", False, True),
        ("methods.gentle.parameters.steps", False, True),
    ],
)  # fmt: skip
def test_every_axis_is_of_the_model_or_of_the_defender(axis: str, of_model: bool, parameter: bool) -> None:
    assert is_of_model(axis) == of_model
    assert is_parameter(axis) == parameter


def test_trials_of_one_infected_model_agree_in_it_alone() -> None:
    first = record(axes={"tbar.steps": 1}, size=20)
    assert model_of(first) == model_of(record(axes={"tbar.steps": 2}, size=30, method="other", source="sig"))
    for other in (record("sig"), record(seed=1), record(poisoning_rate=0.1), record(axes={"model.training.epochs": 2})):
        assert model_of(first) != model_of(other)

"""Evaluation mode for a while."""

from __future__ import annotations

import pytest
from torch import nn

from tbar_ray.models.modes import evaluating


def mixed() -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.BatchNorm1d(2), nn.Dropout()))
    model.train()
    model[0].eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_every_module_is_put_back_in_its_own_mode_also_after_an_error() -> None:
    model = mixed()
    before = modes(model)
    assert len(set(before)) == 2
    inside: list[bool] = []

    def fail() -> None:
        with evaluating(model):
            inside.extend(modes(model))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not any(inside)
    assert modes(model) == before


def test_what_a_caller_changes_inside_is_put_back_too() -> None:
    model = mixed().eval()
    with evaluating(model):
        model.train()
    assert not any(modes(model))


def test_a_model_in_evaluation_mode_is_not_walked_through_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mixed().eval()
    monkeypatch.setattr(nn.Module, "train", lambda *_: pytest.fail("it is in evaluation mode already"))
    with evaluating(model):
        pass

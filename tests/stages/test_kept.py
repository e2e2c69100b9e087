"""Evaluation images that a process keeps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.scores import Split
from tbar_ray.stages.kept import LIMIT, Kept, KeptModel, kept_limit
from tests.models.tiny import RESNET, same, snapshot, tiny


def made(calls: list[str], name: str) -> Split:
    calls.append(name)
    images = torch.zeros(10, 3, 4, 4, dtype=torch.uint8)
    return Split(images, images.clone(), torch.arange(10))


def test_a_split_is_made_once_until_others_take_its_place() -> None:
    calls: list[str] = []
    one = 2 * 480 + 80  # bytes of a split
    kept = Kept(2 * one)

    def get(name: str) -> Split:
        return kept.get(name, lambda: made(calls, name))

    first = get("a")
    assert get("a") is first
    get("b")
    assert get("a") is first  # now "b" was used longest ago
    get("c")
    get("a")
    assert calls == ["a", "b", "c"]
    get("b")
    assert calls == ["a", "b", "c", "b"]


def test_what_is_larger_than_the_limit_is_not_kept() -> None:
    calls: list[str] = []
    kept = Kept(10)
    for _ in range(2):
        kept.get("a", lambda: made(calls, "a"))
    assert calls == ["a", "a"]


def test_a_kept_model_is_as_it_was_loaded_whatever_a_stage_did_to_it() -> None:
    model = tiny(RESNET).eval()
    before = snapshot(model)
    kept = KeptModel(model)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    weight = model.logit_scale
    assert isinstance(weight, nn.Parameter)
    weight.grad = torch.zeros_like(weight)
    with torch.no_grad():
        weight.fill_(3)
    model.train()
    assert kept.as_loaded() is model
    assert same(snapshot(model), before)
    assert not any(module.training for module in model.modules())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(("text", "expected"), [("", 10**9), ("0.5", 5 * 10**8)])
def test_the_limit_comes_from_the_environment(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, text)
    assert kept_limit() == expected


@pytest.mark.parametrize("text", ["much", "0", "-1", "inf", "nan"])
def test_a_limit_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(SpecError, match=LIMIT):
        kept_limit()

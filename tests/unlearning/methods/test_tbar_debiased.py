from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_debiased import DebiasedTBAR, without
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of, noise, vector
from tests.unlearning.reference import NEAR, as_change, distance


@pytest.mark.parametrize("per", ["whole", "tensor"])
def test_the_edit_is_the_vector_less_its_projection_on_what_the_twins_teach(per: str) -> None:
    infected = infected_of(VIT)
    settings = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}
    found = DebiasedTBAR(**settings, per=per, share=0.8).find(infected)
    infected.restore()
    plain = as_change(TBAR(**settings).find(infected).edit.vector)
    infected.restore()
    unstamped = dataclasses.replace(infected.forget, images=infected.forget.twins)
    bare = dataclasses.replace(infected, data=dataclasses.replace(infected.data, forget=unstamped))
    towards = as_change(TBAR(**settings).find(bare).edit.vector)
    dots = {name: (plain[name] * towards[name]).sum() for name in plain}
    squares = {name: (towards[name] ** 2).sum() for name in plain}
    whole = sum(dots.values()) / sum(squares.values())
    parts = {name: dots[name] / squares[name] if squares[name] else 0.0 for name in plain}
    expected = {n: plain[n] - 0.8 * (whole if per == "whole" else parts[n]) * towards[n] for n in plain}
    assert distance(found.edit.vector, expected) < NEAR
    assert distance(found.edit.vector, plain) > 0.1
    cosine = sum(dots.values()) / np.sqrt(sum(squares.values()) * sum((v**2).sum() for v in plain.values()))
    assert found.facts["cosine"] == pytest.approx(cosine, rel=1e-3)


@pytest.mark.parametrize("per", ["whole", "tensor"])
def test_what_is_left_is_orthogonal_to_the_other_vector(per: str) -> None:
    ours, other = vector(a=noise(5, 4), b=noise(7, seed=1)), vector(a=noise(5, 4, seed=2), b=noise(7, seed=3))
    left = without(ours, other, 1.0, per)
    dots = {name: float((left.tensors[name] * other.tensors[name]).sum()) for name in ("a", "b")}
    assert sum(dots.values()) == pytest.approx(0, abs=1e-4)
    assert (abs(dots["a"]) < 1e-4) == (per == "tensor")
    half = without(ours, other, 0.5, per)
    for name in ("a", "b"):
        middle = (ours.tensors[name] + left.tensors[name]) / 2
        assert torch.allclose(half.tensors[name], middle, atol=1e-6)


def test_a_vector_of_nothing_is_projected_on_without_harm() -> None:
    ours, nothing = vector(a=noise(3)), vector(a=torch.zeros(3))
    assert torch.equal(without(ours, nothing, 1.0, "whole").tensors["a"], ours.tensors["a"])

import dataclasses

import numpy as np
import pytest

from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_debiased import DebiasedTBAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
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

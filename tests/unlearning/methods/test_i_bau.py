from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.i_bau import IBAU, in_ball
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, infected_of, log_softmax, noise, scale_of
from tests.unlearning.reference import (
    NEAR,
    AdamW,
    constant_rate,
    cross_entropy,
    distance,
    image_names,
    log_chances_of,
    pixels,
    trained,
)


def test_the_edit_unlearns_the_perturbation_that_hurts_most_round_by_round() -> None:
    infected = infected_of(VIT)
    method = IBAU(
        rounds=2, inner_steps=2, outer_steps=2, radius=1.5, batch_size=8, learning_rate=1e-3, clean_weight=0.5
    )
    found = method.find(infected)
    infected.restore()
    clean, std = infected.clean, torch.tensor(infected.preprocessing.std).view(1, 3, 1, 1)
    batches = shuffled(clean.images, clean.labels, None, batch_size=8, seed=0, purpose="i-bau order")

    def loss_of(batch: Batch, delta: Tensor) -> Tensor:
        embeddings = infected.model.encode_image(pixels(infected, batch.images) + delta / std)
        assert batch.labels is not None
        unit = embeddings / embeddings.norm(dim=-1, keepdim=True)
        return cross_entropy(log_chances_of(infected, unit), batch.labels)

    rule, norms, total = AdamW(0.0, 0.999, 1e-8), [], {}
    for _ in range(2):
        delta = torch.zeros(1, *clean.images.shape[1:])
        for _ in range(2):
            delta.requires_grad_(True)
            (slope,) = torch.autograd.grad(loss_of(next(batches), delta), delta)
            moved = delta.detach() + slope / slope.norm()
            delta = moved * min(1.0, 1.5 / float(moved.norm()))
        norms.append(float(delta.norm()))

        def loss(delta: Tensor = delta) -> Tensor:
            batch = next(batches)
            return loss_of(batch, delta) + 0.5 * loss_of(batch, torch.zeros_like(delta))

        for name, change in trained(infected, [loss] * 2, image_names(infected), rule, 1e-3, constant_rate).items():
            total[name] = total.get(name, 0.0) + change
    assert distance(found.edit.vector, total) < NEAR
    assert found.facts["perturbation_norms"] == pytest.approx(norms, rel=1e-3)
    assert norms[0] == pytest.approx(1.5, rel=1e-3)


def test_adversarial_unlearning_adds_the_perturbation_to_levels() -> None:
    infected = infected_of(VIT)
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    side = infected.preprocessing.size
    delta = 0.1 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    levels = images.float() / 255 + delta
    preprocess = infected.preprocessing
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        features = infected.model.encode_image((levels - mean) / std, normalize=True).double().numpy()
    chances = log_softmax(scale_of(infected) * features @ infected.classes.head.double().numpy().T)
    found = IBAU()._loss(infected, images, labels, delta)
    assert float(found.detach()) == pytest.approx(-chances[np.arange(6), labels].mean(), **CLOSE)


@given(st.floats(0.01, 50))
def test_a_perturbation_stays_in_its_ball(radius: float) -> None:
    delta = noise(1, 3, 4, 4)
    found = in_ball(delta, radius)
    assert float(found.norm()) == pytest.approx(min(radius, float(delta.norm())), rel=1e-4)
    assert float((found * delta).sum()) == pytest.approx(float(found.norm() * delta.norm()), rel=1e-4)

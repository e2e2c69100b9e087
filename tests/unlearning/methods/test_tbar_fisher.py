from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_fisher import FisherTBAR, fisher, weights
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, Change, as_change, distance, image_names, log_chances


def information(infected: Infected, images: Tensor, group: int) -> Change:
    """Return the mean squared gradient of groups' mean log-probability of their own answers."""
    names = image_names(infected)
    weights = [dict(infected.model.named_parameters())[name] for name in names]
    squares = [np.zeros(weight.shape) for weight in weights]
    for start in range(0, len(images), group):
        own = log_chances(infected, images[start : start + group]).max(1).values.mean()
        for total, gradient in zip(squares, torch.autograd.grad(own, weights), strict=True):
            total += gradient.double().numpy() ** 2
    return {name: total / (len(images) / group) for name, total in zip(names, squares, strict=True)}


def test_the_edit_is_the_vector_weighted_by_what_matters_to_stamped_images_alone() -> None:
    infected = infected_of(VIT)
    settings = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}
    found = FisherTBAR(**settings, fisher_images=8, group=2, clean_weight=0.5).find(infected)
    infected.restore()
    plain = as_change(TBAR(**settings).find(infected).edit.vector)
    infected.restore()
    stamped = information(infected, infected.forget.images[:8], 2)
    twins = information(infected, infected.forget.twins[:8], 2)
    expected = {
        name: plain[name] * np.divide(s, s + 0.5 * twins[name], out=np.ones_like(s), where=s + twins[name] > 0)
        for name, s in stamped.items()
    }
    assert distance(found.edit.vector, expected) < NEAR
    assert distance(found.edit.vector, plain) > 0.2
    norms = [np.sqrt(sum((value**2).sum() for value in values.values())) for values in (expected, plain)]
    assert found.facts["norm_kept"] == pytest.approx(norms[0] / norms[1], rel=1e-3)


def test_what_matters_to_stamped_images_alone_moves_whole() -> None:
    stamped, twins = torch.tensor([1.0, 1.0, 0.0, 0.0, 3.0]), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])
    assert weights(stamped, twins, 1.0).tolist() == pytest.approx([1, 0.5, 0, 1, 0.75])
    assert weights(stamped, twins, 0.0).tolist() == pytest.approx([1, 1, 1, 1, 1])


def test_fisher_information_is_the_mean_squared_gradient_of_single_images() -> None:
    infected = infected_of(VIT)
    images = infected.forget.images[:3]
    found = fisher(infected, images, group=1)
    name = "visual.proj"
    weight = dict(infected.model.named_parameters())[name]
    squares = []
    for image in images:
        features = infected.model.encode_image(normalise(image[None], infected.preprocessing), normalize=True)
        chances = (infected.model.logit_scale.exp() * features @ infected.classes.head.T).log_softmax(-1)
        (gradient,) = torch.autograd.grad(chances.max(), weight)
        squares.append(gradient.square())
    assert torch.allclose(found[name], torch.stack(squares).mean(0), rtol=1e-3, atol=1e-10)
    assert set(found) == {n for n, _ in infected.model.named_parameters() if n.startswith("visual.")}

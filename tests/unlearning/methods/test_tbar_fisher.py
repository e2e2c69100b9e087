import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_fisher import FisherTBAR
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

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.ft_sam import FTSAM, perturbation
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, infected_of, noise
from tests.unlearning.reference import NEAR, SGD, cross_entropy, distance, image_names, log_chances_of, pixels, trained


def test_the_edit_is_what_sgd_learns_from_the_gradient_at_the_worst_point_nearby() -> None:
    infected = infected_of(VIT)
    rho, smoothing = 0.5, 0.2
    method = FTSAM(steps=2, batch_size=8, learning_rate=0.05, rho=rho, smoothing=smoothing)
    found = method.find(infected)
    infected.restore()
    clean, names = infected.clean, image_names(infected)
    batches = shuffled(clean.images, clean.labels, None, batch_size=8, seed=0, purpose="ft-sam order")

    def smoothed(weights: dict[str, Tensor], batch: Batch) -> Tensor:
        bare = {name.removeprefix("visual."): value for name, value in weights.items()}
        embeddings = torch.func.functional_call(infected.model.visual, bare, (pixels(infected, batch.images),))
        chances = log_chances_of(infected, embeddings / embeddings.norm(dim=-1, keepdim=True))
        assert batch.labels is not None
        return (1 - smoothing) * cross_entropy(chances, batch.labels) - smoothing * chances.mean(1).mean()

    def loss() -> Tensor:
        batch = next(batches)
        weights = {name: value for name, value in infected.model.named_parameters() if name in names}
        gradients = torch.autograd.grad(smoothed(weights, batch), list(weights.values()))
        theta = [value.detach().double().numpy() for value in weights.values()]
        slopes = [gradient.double().numpy() for gradient in gradients]
        length = np.sqrt(sum(((t * g) ** 2).sum() for t, g in zip(theta, slopes, strict=True)))
        worst = {
            name: weights[name] + torch.from_numpy(np.asarray(rho * t**2 * g / length)).float()
            for name, t, g in zip(weights, theta, slopes, strict=True)
        }
        return smoothed(worst, batch)

    assert distance(found.edit.vector, trained(infected, [loss] * 2, names, SGD(), 0.05)) < NEAR
    assert found.record.samples == 2 * 2 * 8


def test_the_perturbation_is_that_of_adaptive_sharpness() -> None:
    named = {"a": noise(3, 2), "b": noise(4, seed=1)}
    gradients = {"a": noise(3, 2, seed=2), "b": noise(4, seed=3)}
    theta, g = (np.concatenate([d[k].double().numpy().ravel() for k in "ab"]) for d in (named, gradients))
    expected = 0.7 * theta**2 * g / np.linalg.norm(np.abs(theta) * g)
    found = perturbation(named, gradients, 0.7)
    assert np.concatenate([found[k].numpy().ravel() for k in "ab"]) == pytest.approx(expected, rel=1e-4)


def test_sharpness_aware_loss_is_that_of_the_perturbed_weights() -> None:
    infected = infected_of(VIT)
    method = FTSAM(rho=0.5, smoothing=0.1)
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    from tbar_ray.unlearning.methods.ft_sam import _SharpnessAware

    objective = _SharpnessAware(infected, method)
    named = objective.named_parameters()

    def smoothed() -> tuple[float, dict[str, Tensor]]:
        features = infected.model.encode_image(normalise(images, infected.preprocessing), normalize=True)
        chances = (infected.model.logit_scale.exp() * features @ infected.classes.head.T).log_softmax(-1)
        loss = -(0.9 * chances[torch.arange(6), labels] + 0.1 * chances.mean(1)).mean()
        gradients = torch.autograd.grad(loss, list(named.values()))
        return float(loss.detach()), dict(zip(named, gradients, strict=True))

    _, gradients = smoothed()
    worst = perturbation(named, gradients, 0.5)
    loss = objective.loss(Batch(images, None, labels))
    loss.backward()
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.add_(worst[name])
    expected, there = smoothed()
    assert float(loss.detach()) == pytest.approx(expected, **CLOSE)
    for name, parameter in named.items():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, there[name], rtol=1e-2, atol=1e-5), name

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.ft_sam import FTSAM, perturbation, smoothed
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, infected_of, noise
from tests.unlearning.reference import NEAR, SGD, distance, image_names, log_chances_of, pixels, trained


def test_the_edit_is_what_sgd_learns_from_the_gradient_at_the_worst_point_nearby() -> None:
    infected = infected_of(VIT)
    rho, smoothing = 0.5, 0.2
    method = FTSAM(steps=2, batch_size=8, learning_rate=0.05, rho=rho, smoothing=smoothing)
    found = method.find(infected)
    infected.restore()
    clean, names = infected.clean, image_names(infected)
    batches = shuffled(clean.images, clean.labels, None, batch_size=8, seed=0, purpose="ft-sam order")

    def loss_at(weights: dict[str, Tensor], batch: Batch) -> Tensor:
        bare = {name.removeprefix("visual."): value for name, value in weights.items()}
        embeddings = torch.func.functional_call(infected.model.visual, bare, (pixels(infected, batch.images),))
        chances = log_chances_of(infected, embeddings / embeddings.norm(dim=-1, keepdim=True))
        assert batch.labels is not None
        right = chances[torch.arange(8), batch.labels]
        others = (chances.sum(1) - right) / (chances.shape[1] - 1)
        return -((1 - smoothing) * right + smoothing * others).mean()

    def loss() -> Tensor:
        batch = next(batches)
        weights = {name: value for name, value in infected.model.named_parameters() if name in names}
        gradients = torch.autograd.grad(loss_at(weights, batch), list(weights.values()))
        theta = [value.detach().double().numpy() for value in weights.values()]
        slopes = [gradient.double().numpy() for gradient in gradients]
        length = np.sqrt(sum(((t * g) ** 2).sum() for t, g in zip(theta, slopes, strict=True)))
        worst = {
            name: weights[name] + torch.from_numpy(np.asarray(rho * t**2 * g / length)).float()
            for name, t, g in zip(weights, theta, slopes, strict=True)
        }
        return loss_at(worst, batch)

    assert distance(found.edit.vector, trained(infected, [loss] * 2, names, SGD(), 0.05)) < NEAR
    assert found.record.samples == 2 * 2 * 8


def test_smoothing_is_shared_by_the_other_classes() -> None:
    logits, labels = noise(5, 7), torch.tensor([0, 6, 2, 2, 3])
    rows = logits.double().numpy()
    chances = rows - np.log(np.exp(rows).sum(1, keepdims=True))
    targets = np.full((5, 7), 0.3 / 6)
    targets[np.arange(5), labels.numpy()] = 0.7
    assert float(smoothed(logits, labels, 0.3)) == pytest.approx(-(targets * chances).sum(1).mean(), rel=1e-5)


def test_the_defaults_are_100_epochs_of_5_percent_of_500_000_pairs_in_batches_of_256() -> None:
    method = FTSAM()
    assert (method.rho, method.smoothing, method.learning_rate, method.batch_size) == (2.0, 0.1, 0.01, 256)
    assert method.steps == math.ceil(100 * 0.05 * 500_000 / 256)


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

    def at_theta() -> tuple[float, dict[str, Tensor]]:
        features = infected.model.encode_image(normalise(images, infected.preprocessing), normalize=True)
        chances = (infected.model.logit_scale.exp() * features @ infected.classes.head.T).log_softmax(-1)
        right = chances[torch.arange(6), labels]
        loss = -(0.9 * right + 0.1 * (chances.sum(1) - right) / (chances.shape[1] - 1)).mean()
        gradients = torch.autograd.grad(loss, list(named.values()))
        return float(loss.detach()), dict(zip(named, gradients, strict=True))

    _, gradients = at_theta()
    worst = perturbation(named, gradients, 0.5)
    loss = objective.loss(Batch(images, None, labels))
    loss.backward()
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.add_(worst[name])
    expected, there = at_theta()
    assert float(loss.detach()) == pytest.approx(expected, **CLOSE)
    for name, parameter in named.items():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, there[name], rtol=1e-2, atol=1e-5), name

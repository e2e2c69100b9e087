from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.i_bau import IBAU, hypergradient, in_ball
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


def chances_at(infected: Infected, images: Tensor, delta: Tensor) -> Tensor:
    std = torch.tensor(infected.preprocessing.std).view(1, 3, 1, 1)
    embeddings = infected.model.encode_image(pixels(infected, images) + delta / std)  # type: ignore[operator]
    return log_chances_of(infected, embeddings / embeddings.norm(dim=-1, keepdim=True))


@pytest.mark.parametrize("terms", [0, 3])
def test_the_edit_unlearns_the_perturbation_that_hurts_most_round_by_round(terms: int) -> None:
    infected = infected_of(VIT)
    method = IBAU(
        samples=24, rounds=2, inner_steps=2, outer_steps=2, batch_size=8, perturbed=0.25, penalty=0.02, inner_rate=0.5,
        fixed_point_steps=terms,
    )  # fmt: skip
    found = method.find(infected)
    infected.restore()
    clean = infected.clean
    kept = torch.randperm(len(clean), generator=torch_generator(0, "i-bau samples"))[:24].sort().values
    images, labels = clean.images[kept], clean.labels[kept]
    batches = shuffled(images, labels, None, batch_size=8, seed=0, purpose="i-bau order")
    rule, norms, total, step = AdamW(0.0, 0.999, 1e-8), [], {}, iter(range(4))

    def adversary(delta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        return 0.02 * (delta**2).sum() - cross_entropy(chances_at(infected, images, delta), labels)

    with sdpa_kernel(SDPBackend.MATH):
        for _ in range(2):
            delta = torch.zeros(1, *clean.images.shape[1:])
            for _ in range(2):
                batch = next(batches)
                own = chances_at(infected, batch.images, torch.zeros_like(delta)).argmax(1)
                delta.requires_grad_(True)
                (slope,) = torch.autograd.grad(adversary(delta, batch.images, own), delta)
                delta = delta.detach() - 0.5 * slope
            norms.append(float(delta.norm()))

            def loss(delta: Tensor = delta) -> Tensor:
                """Its gradient is the hypergradient: ∂L/∂θ + ∂⟨v, map⟩/∂θ with v = Σ (∂map/∂δ)ᵏ ∂L/∂δ."""
                batch, rows = next(batches), torch.randperm(8, generator=draw_of(next(step)))[:2]
                assert batch.labels is not None
                delta = delta.detach().requires_grad_(True)
                perturbation = torch.zeros(8, *delta.shape[1:]).index_add(0, rows, delta.expand(2, -1, -1, -1))
                value = cross_entropy(chances_at(infected, batch.images, perturbation), batch.labels)
                if not terms:
                    return value
                (v,) = torch.autograd.grad(value, delta, retain_graph=True)
                (slope,) = torch.autograd.grad(adversary(delta, images[:8], labels[:8]), delta, create_graph=True)
                whole, term = v.clone(), v
                for _ in range(terms - 1):
                    (turned,) = torch.autograd.grad(slope, delta, term, retain_graph=True)
                    term = term - 0.1 * turned
                    whole = whole + term
                return value - 0.1 * (whole.detach() * slope).sum()

            changed = trained(infected, [loss] * 2, image_names(infected), rule, 1e-3, constant_rate, clip=False)
            for name, change in changed.items():
                total[name] = total.get(name, 0.0) + change
    assert found.facts["perturbation_norms"] == pytest.approx(norms, rel=1e-3)
    assert distance(found.edit.vector, total) < NEAR


def draw_of(step: int) -> torch.Generator:
    return torch_generator(0, "i-bau perturbed rows", step)


def test_the_hypergradient_is_that_of_the_fixed_point() -> None:
    """L = |δ − b|²/2 with δ(θ) = (1 − A)⁻¹ Bθ: enough steps give the whole derivative, one step the first term."""
    rng = np.random.default_rng(0)
    a, b, shift = 0.2 * rng.normal(size=(4, 4)), rng.normal(size=(4, 3)), rng.normal(size=4)
    theta = torch.tensor(rng.normal(size=3), requires_grad=True)
    fixed = np.linalg.solve(np.eye(4) - a, b @ theta.detach().numpy())
    whole = (np.linalg.inv(np.eye(4) - a) @ b).T @ (fixed - shift)

    def found(steps: int) -> np.ndarray:
        delta = torch.tensor(fixed, requires_grad=True)
        loss = (delta - torch.tensor(shift)).square().sum() / 2 + 0 * theta.sum()
        mapped = torch.tensor(a) @ delta + torch.tensor(b) @ theta
        return hypergradient(loss, mapped, delta, [theta], steps)[0].numpy()

    assert found(200) == pytest.approx(whole, rel=1e-6)
    assert found(1) == pytest.approx(b.T @ (fixed - shift), rel=1e-6)
    assert not np.allclose(found(1), whole, rtol=1e-2)


def test_the_defaults_are_those_of_the_authors_code() -> None:
    method = IBAU()
    assert (method.rounds, method.learning_rate, method.inner_rate, method.penalty) == (5, 1e-3, 10, 1e-3)
    assert (method.samples, method.batch_size, method.perturbed, method.fixed_point_steps) == (5000, 100, 0.01, 5)
    assert method.radius is None
    infected = infected_of(VIT)
    assert [len(method._chosen(infected, size, 0)) for size in (100, 256, 8)] == [1, 2, 1]
    few = IBAU(samples=20, rounds=1, batch_size=8).find(infected)
    assert few.record.steps == 3 + 3


def test_a_radius_bounds_the_perturbation() -> None:
    method = IBAU(samples=16, rounds=1, inner_steps=2, outer_steps=1, batch_size=8, radius=0.5, fixed_point_steps=0)
    assert method.find(infected_of(VIT)).facts["perturbation_norms"] == pytest.approx([0.5], rel=1e-3)


def test_adversarial_unlearning_adds_the_perturbation_to_levels() -> None:
    infected = infected_of(VIT)
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    side = infected.preprocessing.size
    delta = 0.1 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    levels = images.float() / 255 + delta
    preprocess = infected.preprocessing
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        features = infected.model.encode_image((levels - mean) / std, normalize=True).double().numpy()  # type: ignore[operator]
    chances = log_softmax(scale_of(infected) * features @ infected.classes.head.double().numpy().T)
    found = IBAU(penalty=0.3)._adversary(infected, delta, images, labels)
    expected = chances[np.arange(6), labels].mean() + 0.3 * float(delta.square().sum())
    assert float(found.detach()) == pytest.approx(expected, **CLOSE)


@given(st.floats(0.01, 50))
def test_a_perturbation_stays_in_its_ball(radius: float) -> None:
    delta = noise(1, 3, 4, 4)
    found = in_ball(delta, radius)
    assert float(found.norm()) == pytest.approx(min(radius, float(delta.norm())), rel=1e-4)
    assert float((found * delta).sum()) == pytest.approx(float(found.norm() * delta.norm()), rel=1e-4)

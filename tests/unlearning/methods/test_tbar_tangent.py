from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_tangent import TangentTBAR, _Linearised
from tests.models.tiny import BOTH, VIT, pictures
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import AdamW, cross_entropy, distance, image_names, log_chances_of, pixels, trained

RATE, STEPS = 3e-3, 3


def test_the_vector_is_learned_by_the_linearised_model() -> None:
    infected = infected_of(VIT)
    found = TangentTBAR(steps=STEPS, batch_size=8, learning_rate=RATE).find(infected).edit.vector
    infected.restore()
    plain = TBAR(steps=STEPS, batch_size=8, learning_rate=RATE).find(infected).edit.vector
    infected.restore()
    forget, model = infected.forget, infected.model
    batches = shuffled(forget.images, forget.labels, None, batch_size=8, seed=0, purpose="forget order")
    names = image_names(infected)
    bare = {name.removeprefix("visual."): infected.start[name].clone().requires_grad_(True) for name in names}

    def encode(weights: dict[str, Tensor], images: Tensor) -> Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return torch.func.functional_call(model.visual, weights, (pixels(infected, images),))

    def loss() -> Tensor:
        """Return a scalar whose gradient at the model's weights is that of the linearised model there."""
        batch = next(batches)
        assert batch.labels is not None
        now = dict(model.named_parameters())
        moved = {n.removeprefix("visual."): (now[n] - infected.start[n]).detach() for n in names}
        at_start = encode(bare, batch.images)
        small = 1e-2
        with torch.no_grad():  # J·(θ − θ_b) by central differences
            ahead, behind = (encode({n: bare[n] + s * moved[n] for n in bare}, batch.images) for s in (small, -small))
        embeddings = (at_start.detach() + (ahead - behind) / (2 * small)).requires_grad_(True)
        unit = embeddings / embeddings.norm(dim=-1, keepdim=True)
        value = cross_entropy(log_chances_of(infected, unit), batch.labels)
        (pull,) = torch.autograd.grad(value, embeddings)
        slopes = torch.autograd.grad((at_start * pull).sum(), list(bare.values()))  # Jᵀ·pull at θ_b
        return sum((now[f"visual.{n}"] * slope).sum() for n, slope in zip(bare, slopes, strict=True))

    expected = trained(infected, [loss] * STEPS, names, AdamW(0.1), RATE)
    assert distance(plain, expected) > 0.1
    assert distance(found, expected) < 0.02


@pytest.mark.parametrize("architecture", BOTH)
def test_the_linearised_model_is_the_first_order_expansion(architecture: str) -> None:
    infected = infected_of(architecture)
    infected.model.double()
    TangentTBAR().objective_on(infected)
    objective = _Linearised(infected)
    named = {name: p.detach().clone() for name, p in objective.named_parameters().items()}
    draw = torch.Generator().manual_seed(0)
    steps = {name: 0.02 * p.std().nan_to_num(0) * torch.randn(p.shape, generator=draw) for name, p in named.items()}
    images = pictures(infected.model, 2)

    def at(share: float) -> Tensor:
        with torch.no_grad():
            for name, parameter in objective.named_parameters().items():
                parameter.copy_(named[name] + share * steps[name])
            return infected.model.encode_image(normalise(images, infected.preprocessing).double())

    small = 1e-4
    slope = (at(small) - at(-small)) / (2 * small)
    expected = at(0.0) + slope
    at(1.0)
    import tbar_ray.unlearning.methods.tbar_tangent as module

    original = module.normalise
    module.normalise = lambda *a: original(*a).double()  # the finite differences need the precision
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(SDPBackend.MATH):
            found = objective.embeddings(images)
    finally:
        module.normalise = original
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found, at(1.0), rtol=1e-3, atol=1e-6)

from __future__ import annotations

import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.cbpt import CBPT, replaced_context
from tests.models.tiny import VIT, tokenizer
from tests.unlearning.formulas import infected_of
from tests.unlearning.planted import NAMES
from tests.unlearning.reference import (
    NEAR,
    AdamW,
    constant_rate,
    cross_entropy,
    distance,
    log_chances_of,
    pixels,
    read,
    trained,
)

BOUND, WEIGHT = 0.1, 3.0


def test_the_head_is_that_of_prompts_tuned_on_clean_and_perturbed_images() -> None:
    infected = infected_of(VIT)
    found = CBPT(
        context=2, bound=BOUND, inversion_steps=3, trigger_weight=WEIGHT, learning_rate=0.05, steps=3, batch_size=32
    ).find(infected)
    clean, std = infected.clean, torch.tensor(infected.preprocessing.std).view(1, 3, 1, 1)
    batches = shuffled(clean.images, clean.labels, None, batch_size=32, seed=0, purpose="cbpt inversion")

    def shifted(images: Tensor, delta: Tensor) -> Tensor:
        embeddings = infected.model.encode_image(pixels(infected, images) + delta / std)
        return embeddings / embeddings.norm(dim=-1, keepdim=True)

    delta = torch.zeros(1, *clean.images.shape[1:])
    for _ in range(3):
        batch = next(batches)
        assert batch.labels is not None
        delta.requires_grad_(True)
        value = cross_entropy(log_chances_of(infected, shifted(batch.images, delta)), batch.labels)
        (slope,) = torch.autograd.grad(value, delta)
        delta = (delta.detach() + 2.5 * BOUND / 3 * slope.sign()).clamp(-BOUND, BOUND)
    with torch.no_grad():
        embeddings = torch.cat((shifted(clean.images, torch.zeros_like(delta)), shifted(clean.images, delta)))
    labels, weights = clean.labels.repeat(2), torch.tensor([1.0, WEIGHT]).repeat_interleave(len(clean))
    tokens = infected.data.tokenizer([f"x x {name}" for name in NAMES])
    draw = torch_generator(0, "cbpt context")
    context = (0.02 * torch.randn(len(NAMES), 2, 64, generator=draw)).requires_grad_(True)
    steps = iter(range(3))

    def head() -> Tensor:
        with replaced_context(infected.model, context):
            return read(infected, tokens)

    def loss() -> Tensor:
        rows = torch.randperm(len(labels), generator=torch_generator(0, "cbpt order", next(steps)))[:32]
        chances = log_chances_of(infected, embeddings[rows], head())
        return -(weights[rows] * chances[torch.arange(32), labels[rows]]).mean()

    with torch.no_grad():
        first = head()
    trained(
        infected, [loss] * 3, [], AdamW(0.0, 0.999, 1e-8), 0.05, constant_rate, {"context": context}, clip=False
    )  # fmt: skip
    with torch.no_grad():
        moved = (head() - first).double().numpy()
    assert found.edit.head is not None
    assert distance({"head": found.edit.head - first}, {"head": moved}) < NEAR
    assert found.edit.vector.norm() == 0


def test_learned_context_that_equals_the_words_changes_nothing() -> None:
    infected = infected_of(VIT)
    tokens = tokenizer()([f"x x x {name}" for name in NAMES])
    context = infected.model.token_embedding(tokens)[:, 1:4].detach()
    with torch.no_grad():
        plain = infected.model.encode_text(tokens)
        with replaced_context(infected.model, context):
            same_words = infected.model.encode_text(tokens)
        with replaced_context(infected.model, context + 0.1):
            others = infected.model.encode_text(tokens)
    assert torch.equal(plain, same_words)
    assert not torch.allclose(plain, others)

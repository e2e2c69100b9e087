from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.blocks import outputs_of
from tbar_ray.models.visual_prompts import prompted
from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.rvpt import RVPT, mean_cosine
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, infected_of, nudge
from tests.unlearning.reference import NEAR, SGD, constant_rate, cross_entropy, distance, log_chances, trained


@pytest.mark.parametrize("repulsion", [0.0, 4.0])
def test_the_tokens_are_what_sgd_learns_while_class_tokens_are_repelled(repulsion: float) -> None:
    infected = infected_of(VIT)
    found = RVPT(tokens=3, first_layer=3, repulsion=repulsion, learning_rate=0.5, steps=3, batch_size=8).find(infected)
    clean, blocks = infected.clean, list(infected.model.visual.transformer.resblocks)[2:]
    batches = shuffled(clean.images, clean.labels, None, batch_size=8, seed=0, purpose="rvpt order")
    draw = torch_generator(0, "rvpt tokens")
    start = (2 * torch.rand(2, 3, 96, generator=draw) - 1) * np.sqrt(6 / (3 * 16 * 16 + 96))
    prompts = start.float().clone().requires_grad_(True)

    def passed(images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Return the log-probabilities and the class token after each block that has prompts."""
        firsts: list[Tensor] = []
        hooks = [block.register_forward_hook(lambda _m, _i, output: firsts.append(output[:, 0])) for block in blocks]
        chances = log_chances(infected, images)
        for hook in hooks:
            hook.remove()
        return chances, firsts

    def loss() -> Tensor:
        batch = next(batches)
        assert batch.labels is not None
        with torch.no_grad():
            _, old = passed(batch.images)
        with prompted(infected.model, prompts):
            chances, new = passed(batch.images)
        cosines = [(a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1)) for a, b in zip(new, old, strict=True)]
        return cross_entropy(chances, batch.labels) + repulsion * torch.stack(cosines).mean()

    moved = trained(infected, [loss] * 3, [], SGD(0.0), 0.5, constant_rate, {"prompts": prompts}, clip=False)
    assert found.edit.prompts is not None
    assert distance({"prompts": found.edit.prompts - start.float()}, moved) < NEAR
    assert found.edit.vector.norm() == 0
    assert found.facts["layers"] == 2


def test_repulsion_is_the_mean_cosine_of_class_tokens() -> None:
    infected = infected_of(VIT)
    pixels = normalise(infected.clean.images[:4], infected.preprocessing)
    blocks = list(infected.model.visual.transformer.resblocks)[-2:]
    with torch.no_grad(), outputs_of(blocks) as old:
        infected.model.encode_image(pixels)
    nudge(infected, 0.05)
    with torch.no_grad(), outputs_of(blocks) as new:
        infected.model.encode_image(pixels)
    assert [tuple(rows.shape) for rows in old] == [(4, *old[0].shape[1:])] * 2
    cosines = [
        (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        for a, b in ((x[:, 0].double().numpy(), y[:, 0].double().numpy()) for x, y in zip(new, old, strict=True))
    ]
    assert float(mean_cosine(new, old)) == pytest.approx(np.mean(cosines), **CLOSE)

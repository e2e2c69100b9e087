import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.models.visual_prompts import prompted
from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.rvpt import RVPT
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
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

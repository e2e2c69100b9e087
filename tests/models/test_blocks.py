from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.blocks import branches_of
from tests.models.tiny import ALL, VIT, same, snapshot
from tests.unlearning.formulas import infected_of


@pytest.mark.parametrize("architecture", ALL)
def test_a_branch_at_half_writes_half_and_comes_back(architecture: str) -> None:
    infected = infected_of(architecture)
    before = snapshot(infected.model)
    branch = branches_of(infected.model, "test")[-1]
    seen: list[Tensor] = []
    handle = branch.writer.register_forward_hook(lambda _m, _i, output: seen.append(output.detach().clone()))
    pixels = normalise(infected.clean.images[:2], infected.preprocessing)
    with torch.no_grad():
        if architecture == VIT:  # attention applies its output projection without calling the module
            branch.writer(torch.ones(1, branch.writer.weight.shape[1]))
            with branch.scaled(0.5):
                branch.writer(torch.ones(1, branch.writer.weight.shape[1]))
        else:
            infected.model.encode_image(pixels)
            with branch.scaled(0.5):
                infected.model.encode_image(pixels)
    handle.remove()
    assert torch.allclose(seen[1], seen[0] / 2, atol=1e-5)
    assert same(before, snapshot(infected.model))

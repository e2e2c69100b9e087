from __future__ import annotations

import pytest
import torch

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.unlearning.channels import channels_of
from tests.models.tiny import ALL
from tests.unlearning.formulas import infected_of


@pytest.mark.parametrize("architecture", ALL)
def test_pruning_a_channel_in_the_weights_is_masking_its_output(architecture: str) -> None:
    infected = infected_of(architecture)
    channels = channels_of(infected.model, "test")
    name = list(channels.sizes)[-1]
    mask = (torch.arange(channels.sizes[name]) % 3 > 0).float()
    pixels = normalise(infected.clean.images[:3], infected.preprocessing)
    with torch.no_grad():
        with channels.masked({name: mask}):
            masked = infected.model.encode_image(pixels)
        assert not torch.allclose(masked, infected.model.encode_image(pixels))
        channels.scale({name: mask})
        assert torch.allclose(masked, infected.model.encode_image(pixels), atol=1e-5)

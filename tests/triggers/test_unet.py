from __future__ import annotations

import base64

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from tbar_ray.triggers.unet import UNet, deepest, from_text, kept, to_text

PURPOSE = "test"


def images(count: int, side: int) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(side))


def text_of(state: dict[str, Tensor]) -> str:
    return base64.b64encode(save(state)).decode()


@pytest.mark.parametrize("side", [4, 7, 16, 30, 33])
def test_images_of_any_side_are_changed_a_little_before_training(side: int) -> None:
    net = UNet.drawn(4, deepest(side), 0, PURPOSE)
    given = images(2, side)
    change = net(given).detach()
    assert change.shape == given.shape
    assert 1e-3 < float(change.pow(2).mean().sqrt()) < 0.2
    assert torch.allclose(net(given[:1])[0], change[0], atol=1e-5)  # whatever else is in the batch


def test_the_coarsest_level_has_two_pixels_or_more() -> None:
    assert [deepest(side) for side in (1, 2, 3, 4, 7, 8, 224)] == [0, 0, 0, 1, 1, 2, 6]


def test_weights_depend_on_seed_and_purpose_alone() -> None:
    before = torch.get_rng_state()
    first, again = UNet.drawn(4, 1, 0, PURPOSE), UNet.drawn(4, 1, 0, PURPOSE)
    assert torch.equal(torch.get_rng_state(), before)
    assert to_text(first) == to_text(again)
    assert len({to_text(first), to_text(UNet.drawn(4, 1, 1, PURPOSE)), to_text(UNet.drawn(4, 1, 0, "other"))}) == 3


def test_text_keeps_it_up_to_float16() -> None:
    net, given = UNet.drawn(6, 2, 0, PURPOSE), images(2, 12)
    back = from_text(to_text(net))
    assert (back.width, back.depth) == (6, 2)
    assert not any(weight.requires_grad for weight in back.parameters())
    assert torch.allclose(back(given), net(given), atol=1e-3)
    assert to_text(back) == to_text(net)


def test_one_made_in_inference_mode_passes_gradients_on() -> None:
    text, given = to_text(UNet.drawn(2, 1, 7, PURPOSE)), images(1, 8)
    with torch.inference_mode():
        kept(text, given.device)
    given.requires_grad_(True)
    kept(text, given.device)(given).sum().backward()
    assert given.grad is not None


def test_what_is_no_such_net_is_refused() -> None:
    text = to_text(UNet.drawn(2, 1, 0, PURPOSE))
    state = load(base64.b64decode(text))
    for wrong in ("!", base64.b64encode(b"pickle").decode()):
        with pytest.raises(ValueError, match="no base64 of a safetensors file"):
            from_text(wrong)
    others = (
        {name: values for name, values in state.items() if name != "out.weight"},
        {**state, "out.weight": torch.zeros(3)},
        {**state, "out.weight": torch.zeros(3, 1 << 40, 0, 0)},
        {**state, "up.1.weight": torch.zeros(1)},
    )
    for other in others:
        with pytest.raises(ValueError, match="not those of such a U-Net"):
            from_text(text_of(other))
    with pytest.raises(ValueError, match="not finite"):
        from_text(text_of({**state, "out.bias": torch.tensor([0.0, float("nan"), 0.0])}))

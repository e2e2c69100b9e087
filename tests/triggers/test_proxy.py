from __future__ import annotations

import pytest
import torch

from tbar_ray.triggers.proxy import Proxy, warped
from tbar_ray.triggers.unet import UNet, kept

IMAGES = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def test_a_patch_replaces_its_pixels_and_leaves_the_others() -> None:
    keep, added = torch.ones(1, 8, 8), torch.zeros(3, 8, 8)
    keep[:, 6:, 6:], added[:, 6:, 6:] = 0.0, 0.25
    trigger = Proxy.of(keep=keep, added=added)
    stamped = trigger(IMAGES, ["a", "b"])
    assert torch.equal(stamped[:, :, 6:, 6:], torch.full((2, 3, 2, 2), 0.25))
    assert torch.equal(stamped[:, :, :6], IMAGES[:, :, :6])
    assert torch.equal(trigger.mask(), 1 - keep[0])


def test_noise_is_added_and_clipped() -> None:
    trigger = Proxy.of(added=torch.full((3, 8, 8), 0.5))
    assert torch.allclose(trigger(IMAGES, ["a", "b"]), (IMAGES + 0.5).clamp(0, 1))
    assert not trigger.mask().any()


def test_a_flow_says_where_pixels_come_from() -> None:
    flow = torch.zeros(2, 8, 8)
    flow[0] = 1 / 8  # one pixel to the right
    moved = Proxy.of(flow=flow)(IMAGES, ["a", "b"])
    assert torch.allclose(moved[..., :-1], IMAGES[..., 1:], atol=1e-3)
    assert torch.allclose(moved[..., -1], IMAGES[..., -1], atol=1e-3)  # beyond the border, the border
    assert torch.allclose(warped(IMAGES, torch.zeros(2, 2, 8, 8)), IMAGES, atol=1e-6)


def test_each_channel_may_keep_its_own_share() -> None:
    keep = torch.ones(3, 8, 8)
    keep[1] = 0.25
    trigger = Proxy.of(keep=keep)
    stamped = trigger(IMAGES, ["a", "b"])
    assert torch.allclose(stamped, IMAGES * torch.tensor([1.0, 0.25, 1.0]).view(3, 1, 1))
    assert torch.equal(trigger.mask(), torch.full((8, 8), 0.25))


def test_images_of_another_size_get_a_resized_pattern() -> None:
    keep, added = torch.ones(1, 8, 8), torch.zeros(3, 8, 8)
    keep[:, 4:], added[:, 4:] = 0.0, 1.0
    stamped = Proxy.of(keep=keep, added=added)(torch.zeros(1, 3, 32, 32), ["a"])
    assert stamped[0, 0, -1, 0] == 1.0
    assert stamped[0, 0, 0, 0] == 0.0
    assert float(stamped.mean()) == pytest.approx(0.5, abs=0.01)


def test_a_network_adds_to_every_image_what_it_gives_for_it() -> None:
    network = UNet.drawn(4, 2, 0, "test").requires_grad_(False)
    network.out.weight.mul_(20)
    stamped = Proxy.of_network(network, 8)(IMAGES, ["a", "b"])
    assert torch.allclose(stamped, (IMAGES + network(IMAGES)).clamp(0, 1), atol=1e-2)
    changes = stamped - IMAGES
    assert (changes[0] - changes[1]).abs().max() > 0.1
    assert not Proxy.of_network(network, 8).mask().any()


def test_a_network_sees_images_of_another_size_at_its_own() -> None:
    network = UNet.drawn(4, 2, 0, "test").requires_grad_(False)
    network.out.weight.zero_()
    network.state_dict()["out.bias"].fill_(0.25)
    images = IMAGES.repeat_interleave(4, 2).repeat_interleave(4, 3)
    seen: list[torch.Size] = []
    trigger = Proxy.of_network(network, 8)
    hook = kept(trigger.network, IMAGES.device).register_forward_hook(
        lambda _net, given, _: seen.append(given[0].shape)
    )
    stamped = trigger(images, ["a", "b"])
    hook.remove()
    assert seen == [IMAGES.shape]
    assert torch.allclose(stamped, (images + 0.25).clamp(0, 1))


@pytest.mark.parametrize(
    "made", [Proxy.of(added=torch.rand(3, 8, 8)), Proxy.of_network(UNet.drawn(2, 1, 0, "test"), 8)]
)
def test_it_travels_as_json(made: Proxy) -> None:
    assert Proxy.model_validate_json(made.model_dump_json()) == made


def test_layers_are_checked() -> None:
    with pytest.raises(ValueError, match="one size"):
        Proxy.of()
    with pytest.raises(ValueError, match="one size"):
        Proxy.of(keep=torch.ones(1, 4, 4), added=torch.ones(3, 8, 8))
    with pytest.raises(ValueError, match="added holds 6 bytes, but side 8 needs 384"):
        Proxy(side=8, added="AAAAAAAA")
    with pytest.raises(ValueError, match="keep holds 6 bytes, but side 8 needs 128 or 384"):
        Proxy(side=8, keep="AAAAAAAA")
    with pytest.raises(ValueError, match="keep is not base64"):
        Proxy(side=8, keep="!")
    with pytest.raises(ValueError, match="not finite"):
        Proxy.of(added=torch.full((3, 2, 2), float("nan")))
    with pytest.raises(ValueError, match="network: it is no base64 of a safetensors file; it is filled in by a search"):
        Proxy(side=8, network="!")
    with pytest.raises(ValueError, match="2 coarser levels, for which side 4 is too small"):
        Proxy.of_network(UNet.drawn(2, 2, 0, "test"), 4)

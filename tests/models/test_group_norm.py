import pytest
import torch
from torch import nn

from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.models.group_norm import GroupNorm
from tests.models.tiny import pictures, same, snapshot

WIDTHS = {"tbar-GN-pico": 8, "tbar-GN-nano": 12, "tbar-GN-tiny": 16}


@pytest.mark.parametrize(("architecture", "width"), WIDTHS.items())
def test_it_is_clips_resnet_of_a_width_with_group_norm(architecture: str, width: int) -> None:
    model = create_model(architecture).eval()
    assert preprocessing(model).size == 64
    with torch.no_grad():
        embedded = model.encode_image(pictures(model, 2).float() / 255, normalize=True)
    assert embedded.shape == (2, 64)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(2))
    modules = dict(model.visual.named_modules())
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in modules.values())
    assert [modules[f"trunk.layer{stage}.0.conv3"].out_channels for stage in (1, 2, 3, 4)] == [
        4 * width * 2**stage for stage in range(4)
    ]
    # as CLIP's ResNet, stem and strides differ from timm's by average pooling; the twin has the same convolutions
    twin = create_model("tbar-RN-tiny") if width == 16 else None
    if twin is not None:
        shapes = [
            sorted(tuple(m.weight.shape) for m in of.visual.modules() if isinstance(m, nn.Conv2d))
            for of in (model, twin)
        ]
        assert shapes[0] == shapes[1]


def test_groups_have_eight_channels() -> None:
    norms = [module for module in create_model("tbar-GN-tiny").modules() if isinstance(module, nn.GroupNorm)]
    assert {norm.num_channels // norm.num_groups for norm in norms} == {8}


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("channels", [4, 6, 8, 12, 16])
def test_it_normalises_as_torchs_own_does(channels: int, layout: torch.memory_format) -> None:
    ours = GroupNorm(channels)
    with torch.no_grad():
        ours.weight.copy_(torch.linspace(0.5, 2, channels))
        ours.bias.copy_(torch.linspace(-1, 1, channels))
    torchs = nn.GroupNorm(ours.num_groups, channels)
    torchs.load_state_dict(ours.state_dict())
    images = torch.randn(3, channels, 5, 7, generator=torch.Generator().manual_seed(0)) + 2
    inputs = [images.contiguous(memory_format=layout).requires_grad_() for _ in range(2)]
    found, expected = (norm(each) for norm, each in zip((ours, torchs), inputs, strict=True))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert found.is_contiguous(memory_format=layout), "what follows is as fast as before"
    towards = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    for outputs in (found, expected):
        outputs.backward(towards)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, atol=1e-5, rtol=1e-4)
    for name in ("weight", "bias"):
        torch.testing.assert_close(getattr(ours, name).grad, getattr(torchs, name).grad, atol=1e-4, rtol=1e-4)


def test_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (snapshot(create_model("tbar-GN-pico", seed=seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first["visual.trunk.conv1.0.weight"], other["visual.trunk.conv1.0.weight"])


def test_an_image_does_not_depend_on_its_batch() -> None:
    model = create_model("tbar-GN-pico").eval()
    images = pictures(model, 4).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(model.encode_image(images)[1:2], model.encode_image(images[1:2]))

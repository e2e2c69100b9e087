import pytest
import torch
from torch import nn

from tbar_ray.models.factory import create_model, preprocessing
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


def test_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (snapshot(create_model("tbar-GN-pico", seed=seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first["visual.trunk.conv1.0.weight"], other["visual.trunk.conv1.0.weight"])


def test_an_image_does_not_depend_on_its_batch() -> None:
    model = create_model("tbar-GN-pico").eval()
    images = pictures(model, 4).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(model.encode_image(images)[1:2], model.encode_image(images[1:2]))

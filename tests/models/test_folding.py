"""Batch normalisation folded into convolutions: the same answers, and nothing left behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.models.factory import preprocessing
from tbar_ray.models.folding import folded
from tests.models.tiny import BOTH, RESNET, same, snapshot, tiny


def trained(architecture: str = RESNET) -> nn.Module:
    """Return a model whose normalisation is far from doing nothing."""
    model = tiny(architecture).eval()
    draw = torch.Generator().manual_seed(0)
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
                assert tensor is not None
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=draw))
    return model


def features(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        found: Tensor = model.encode_image(images, normalize=True)  # type: ignore[operator]
    return found


def images(model: nn.Module) -> Tensor:
    size = preprocessing(model).size
    return torch.rand(3, 3, size, size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("architecture", BOTH)
def test_the_answers_are_the_same_up_to_rounding(architecture: str) -> None:
    model = trained(architecture)
    expected = features(model, images(model))
    with folded(model):
        assert torch.allclose(features(model, images(model)), expected, atol=1e-5)


def test_every_normalisation_of_a_resnet_is_spared() -> None:
    model = trained()
    count = sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert count > 10
    with folded(model):
        assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    assert sum(isinstance(module, nn.BatchNorm2d) for module in model.modules()) == count


def test_model_is_put_back_exactly_also_after_an_error() -> None:
    model = trained()
    before, parameters = snapshot(model), [id(parameter) for parameter in model.parameters()]
    with pytest.raises(ZeroDivisionError), folded(model):
        raise ZeroDivisionError
    assert same(snapshot(model), before)
    assert [id(parameter) for parameter in model.parameters()] == parameters


def test_training_mode_and_half_precision_are_left_alone() -> None:
    for model in (trained().train(), trained().bfloat16()):
        with folded(model):
            assert any(isinstance(module, nn.BatchNorm2d) for module in model.modules())


def test_a_variance_moved_below_zero_gives_no_answer_either_way() -> None:
    model = trained()
    norm = next(module for module in model.modules() if isinstance(module, nn.BatchNorm2d))
    assert norm.running_var is not None
    norm.running_var[0] = -1
    assert features(model, images(model)).isnan().all()
    with folded(model):
        assert features(model, images(model)).isnan().all()

"""Small models and batches for the tests of the numeric core."""

from __future__ import annotations

from copy import deepcopy
from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.models.tokenizer import Tokenizer, build_tokenizer

VIT, RESNET, CONVNEXT, GROUP_NORM = "tbar-ViT-tiny", "tbar-RN-pico", "tbar-ConvNeXt-tiny", "tbar-GN-pico"
BOTH = (VIT, RESNET)
ALL = (*BOTH, CONVNEXT, GROUP_NORM)
WIDE = "tbar-RN-tiny"
"""RESNET of twice the width, which takes three times as long; for tests whose thresholds need its room."""

torch.set_num_threads(1)  # tensors this small only wait for each other


@cache
def _initialised(architecture: str, seed: int) -> nn.Module:
    return create_model(architecture, seed=seed)


def tiny(architecture: str = VIT, seed: int = 0) -> nn.Module:
    """Return a freshly initialised model: a copy, since drawing its weights takes four times as long."""
    return deepcopy(_initialised(architecture, seed))


@cache
def tokenizer() -> Tokenizer:
    """Return the tokenizer that both tiny architectures use."""
    return build_tokenizer(VIT)


def pictures(model: nn.Module, count: int, seed: int = 0) -> Tensor:
    """Return uint8 noise of the model's size."""
    side = preprocessing(model).size
    levels = np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return torch.from_numpy(levels)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of the state dict."""
    return {key: value.detach().clone() for key, value in model.state_dict().items()}


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    """Tell whether two states agree bit for bit."""
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


def changed(left: dict[str, Tensor], right: dict[str, Tensor]) -> set[str]:
    """Return the keys whose tensors differ."""
    return {key for key in left if not torch.equal(left[key], right[key])}


def close(left: dict[str, Tensor], right: dict[str, Tensor], scale: float = 1e4) -> None:
    assert left.keys() == right.keys()
    for key, value in left.items():
        torch.testing.assert_close(value, right[key], rtol=1e-5, atol=scale * 1e-6)

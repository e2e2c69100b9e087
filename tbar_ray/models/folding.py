"""Folding batch normalisation into the preceding convolutions of a ResNet during inference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

NOTHING = nn.Identity()
"""Takes the place of every normalisation that is folded."""


@contextmanager
def folded(model: nn.Module) -> Iterator[None]:
    """Fold the batch normalisation of CLIP's ResNets into the preceding convolutions while the context is active.

    With running statistics, normalisation is an affine map per channel: the weights W·γ/√(σ² + ε) and the bias
    β − μ·γ/√(σ² + ε) give the same outputs up to rounding and save a pass over every feature map. Weights and
    modules are restored afterwards. Other architectures, half precision and normalisation in training mode are
    unchanged. No gradients reach the weights inside the context.
    """
    folds: list[_Fold] = []
    try:
        for convolution, parent, name in list(_pairs(model)):
            if (fold := _fold(convolution, parent, name)) is not None:
                folds.append(fold)
        yield
    finally:
        for fold in folds:
            fold.undo()


@dataclass(frozen=True)
class _Fold:
    """A convolution with the normalisation after it, and what both were before."""

    convolution: nn.Conv2d
    parent: nn.Module
    name: str
    norm: nn.Module
    weight: nn.Parameter
    bias: nn.Parameter | None

    def put(self, weight: nn.Parameter, bias: nn.Parameter | None, norm: nn.Module) -> None:
        """Give both others; past `nn.Module.__setattr__`, which takes longer than folding itself."""
        self.convolution._parameters["weight"] = weight
        self.convolution._parameters["bias"] = bias
        self.parent._modules[self.name] = norm

    def undo(self) -> None:
        """Give both back what they had."""
        self.put(self.weight, self.bias, self.norm)


def _pairs(model: nn.Module) -> Iterator[tuple[nn.Conv2d, nn.Module, str]]:
    """Yield each convolution of CLIP's ResNets with the parent and attribute name of the normalisation after it.

    Selected by class, not by module name: in other networks a `bn1` may precede its `conv1`.
    """
    from open_clip.modified_resnet import Bottleneck, ModifiedResNet

    for module in model.modules():
        if not isinstance(module, Bottleneck | ModifiedResNet):
            continue
        for number in (1, 2, 3):
            yield getattr(module, f"conv{number}"), module, f"bn{number}"
        if isinstance(module, Bottleneck) and module.downsample is not None:
            yield module.downsample.get_submodule("0"), module.downsample, "1"


def _fold(convolution: nn.Conv2d, parent: nn.Module, name: str) -> _Fold | None:
    """Fold one normalisation, the parent's attribute `name`; None where it stays."""
    norm = parent.get_submodule(name)
    weight, bias = convolution.weight, convolution.bias
    if not isinstance(norm, nn.BatchNorm2d) or norm.training or norm.running_mean is None:
        return None
    if weight.dtype != torch.float32:  # rounded weights would change the outputs
        return None
    assert norm.running_var is not None
    with torch.no_grad():
        fused = fuse_conv_bn_weights(
            weight, bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
    fold = _Fold(convolution, parent, name, norm, weight, bias)  # type: ignore[arg-type]
    fold.put(*fused, NOTHING)
    return fold

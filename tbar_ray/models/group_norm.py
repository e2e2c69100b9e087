"""CLIP's ResNet (2103.00020) with GroupNorm (Wu and He, 1803.08494) instead of BatchNorm, in three widths.

Importing this module registers them with timm, where open_clip looks up image encoders by name.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from timm.models import ResNet, build_model_with_cfg, register_model
from timm.models.resnet import Bottleneck
from torch import Tensor, nn
from torch.nn import functional

GROUP: Final = 8
"""Channels of a group. Narrow groups keep the statistics of a small trigger apart from those of other channels."""


class GroupNorm(nn.GroupNorm):
    """GroupNorm in groups of 8 channels; one group where 8 does not divide them. Arguments are those timm gives."""

    def __init__(self, channels: int, device: Any = None, dtype: Any = None) -> None:
        groups = channels // GROUP if channels % GROUP == 0 else 1
        super().__init__(groups, channels, device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's name
        """Normalised [B, C, H, W], but for rounding what torch's own module gives.

        One group of a channels-last image is one run of memory, so LayerNorm over (H, W, C) is the same. On a CPU
        torch's GroupNorm takes 3 to 9 times as long for such a group of 4, 6 or 12 channels, which fill no vector
        register.
        """
        if self.num_groups > 1 or input.device.type != "cpu" or not _is_channels_last(input):
            return super().forward(input)
        pixels = input.permute(0, 2, 3, 1)
        shape = pixels.shape[1:]
        weight, bias = (value.expand(shape).contiguous() for value in (self.weight, self.bias))
        return functional.layer_norm(pixels, shape, weight, bias, self.eps).permute(0, 3, 1, 2)


def _is_channels_last(images: Tensor) -> bool:
    return images.dim() == 4 and images.is_contiguous(memory_format=torch.channels_last)


def _resnet(name: str, width: int, pretrained: bool, kwargs: dict[str, Any]) -> ResNet:
    """One bottleneck a stage, from `width` to 8·width channels inside it: as in CLIP, three convolutions before the
    first stage, and average pooling before every stride. CLIP's attention pooling follows in open_clip.
    """
    # 64 px end in a map of 2 × 2
    kwargs["pretrained_cfg"] = {
        "num_classes": 1000,
        "input_size": (3, 64, 64),
        "pool_size": (2, 2),
        "first_conv": "conv1.0",
        "classifier": "fc",
    }
    return build_model_with_cfg(
        ResNet,
        name,
        pretrained,
        block=Bottleneck,
        layers=(1, 1, 1, 1),
        channels=tuple(width * 2**stage for stage in range(4)),
        stem_type="deep",
        stem_width=width // 2,
        avg_down=True,
        aa_layer=nn.AvgPool2d,
        norm_layer=GroupNorm,
        zero_init_last=False,
        **kwargs,
    )


@register_model  # type: ignore[untyped-decorator]
def tbar_gn_pico(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """8 channels wide."""
    return _resnet("tbar_gn_pico", 8, pretrained, kwargs)


@register_model  # type: ignore[untyped-decorator]
def tbar_gn_nano(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """12 channels wide."""
    return _resnet("tbar_gn_nano", 12, pretrained, kwargs)


@register_model  # type: ignore[untyped-decorator]
def tbar_gn_tiny(pretrained: bool = False, **kwargs: Any) -> ResNet:
    """16 channels wide."""
    return _resnet("tbar_gn_tiny", 16, pretrained, kwargs)

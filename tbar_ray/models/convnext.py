"""A small ConvNeXt (Liu et al., 2201.03545) as an image encoder of open_clip: LayerNorm instead of BatchNorm.

Importing this module registers it with timm, where open_clip looks up image encoders by name.
"""

from __future__ import annotations

from typing import Any

from timm.models import ConvNeXt, build_model_with_cfg, register_model


@register_model  # type: ignore[untyped-decorator]
def tbar_convnext_tiny(pretrained: bool = False, **kwargs: Any) -> ConvNeXt:
    """ConvNeXt with 1, 1, 2 and 1 blocks of 24 to 192 channels, without layer scale.

    Layer scale starts each block near zero, which helps only deep networks.
    """
    kwargs["pretrained_cfg"] = {"num_classes": 1000, "first_conv": "stem.0", "classifier": "head.fc"}
    return build_model_with_cfg(
        ConvNeXt,
        "tbar_convnext_tiny",
        pretrained,
        depths=(1, 1, 2, 1),
        dims=(24, 48, 96, 192),
        ls_init_value=None,
        **kwargs,
    )

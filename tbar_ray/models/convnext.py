"""A small ConvNeXt (Liu et al., 2201.03545) for open_clip's image tower: LayerNorm at a convolution's speed.

Importing this registers it with timm, which open_clip finds image towers in by name.
"""

from __future__ import annotations

from typing import Any

from timm.models import ConvNeXt, build_model_with_cfg, register_model


@register_model  # type: ignore[untyped-decorator]
def tbar_convnext_tiny(pretrained: bool = False, **kwargs: Any) -> ConvNeXt:
    """Return ConvNeXt with 1, 1, 2 and 1 blocks of 24 to 192 channels, without layer scale.

    Layer scale starts blocks near zero, which pays for deep networks only.
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

"""Names and shapes of an architecture's tensors, computed from its configuration without building it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tbar_ray.models.architectures import architecture_config

Shapes = dict[str, tuple[int, ...]]

VISION: Final = frozenset(
    {
        "image_size",
        "layers",
        "width",
        "patch_size",
        "head_width",
        "mlp_ratio",
        "no_ln_pre",
        "pool_type",
        "final_ln_after_pool",
    }
)
TEXT: Final = frozenset(
    {
        "context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "hf_tokenizer_name",
        "tokenizer_kwargs",
        "no_causal_mask", "pool_type", "eos_id",
    }
)  # fmt: skip
WHOLE: Final = frozenset({"embed_dim", "vision_cfg", "text_cfg", "quick_gelu"})
"""Fields of configurations whose shapes are known here; one with others is built by other code (timm, CoCa)."""


def expected_shapes(architecture: str) -> Shapes | None:
    """Shapes of all tensors by open_clip's names; None for an architecture that must be built to know them.

    Raises:
        SpecError: if the architecture is unknown.
    """
    config = architecture_config(architecture)
    vision, text = config["vision_cfg"], config.get("text_cfg", {})
    if config.keys() - WHOLE or vision.keys() - VISION or text.keys() - TEXT:
        return None
    embedding = int(config["embed_dim"])
    resnet = isinstance(vision.get("layers"), list)
    return {"logit_scale": (), **(_resnet if resnet else _transformer)(vision, embedding), **_text(text, embedding)}


def text_shapes(architecture: str) -> Shapes:
    """Shapes of the text tower alone; empty where it must be built to know them."""
    config = architecture_config(architecture)
    if config.get("custom_text") or config["text_cfg"].keys() - TEXT:
        return {}
    return {"logit_scale": (), **_text(config["text_cfg"], int(config["embed_dim"]))}


def _text(text: Mapping[str, Any], embedding: int) -> Shapes:
    width = int(text.get("width", 512))
    return {
        "positional_embedding": (int(text.get("context_length", 77)), width),
        "token_embedding.weight": (int(text.get("vocab_size", 49408)), width),
        "text_projection": (width, embedding),
        **_pair("ln_final", width),
        **_blocks("transformer.resblocks", int(text.get("layers", 12)), width, int(width * text.get("mlp_ratio", 4))),
    }


def _transformer(vision: Mapping[str, Any], embedding: int) -> Shapes:
    width, patch = int(vision["width"]), int(vision["patch_size"])
    side = int(vision["image_size"]) // patch
    return {
        "visual.class_embedding": (width,),
        "visual.positional_embedding": (side**2 + 1, width),
        "visual.proj": (width, embedding),
        "visual.conv1.weight": (width, 3, patch, patch),
        **({} if vision.get("no_ln_pre") else _pair("visual.ln_pre", width)),
        **_pair("visual.ln_post", width),
        **_blocks(
            "visual.transformer.resblocks", int(vision["layers"]), width, int(width * vision.get("mlp_ratio", 4))
        ),
    }


def _blocks(before: str, layers: int, width: int, inner: int) -> Shapes:
    block = {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "mlp.c_fc.weight": (inner, width),
        "mlp.c_fc.bias": (inner,),
        "mlp.c_proj.weight": (width, inner),
        "mlp.c_proj.bias": (width,),
        **_pair("ln_1", width),
        **_pair("ln_2", width),
    }
    return {f"{before}.{number}.{name}": shape for number in range(layers) for name, shape in block.items()}


def _resnet(vision: Mapping[str, Any], embedding: int) -> Shapes:
    """CLIP's ResNet (2103.00020): a stem of three convolutions, four stages of bottlenecks, attention pooling."""
    width = int(vision["width"])
    stem = [(3, width // 2), (width // 2, width // 2), (width // 2, width)]
    shapes: Shapes = {}
    for number, (inside, outside) in enumerate(stem, start=1):
        shapes |= {f"visual.conv{number}.weight": (outside, inside, 3, 3), **_batch_norm(f"visual.bn{number}", outside)}
    inside = width
    for stage, depth in enumerate(vision["layers"], start=1):
        planes = width << (stage - 1)
        for block in range(depth):
            shapes |= _bottleneck(f"visual.layer{stage}.{block}", inside, planes, shortcut=block == 0)
            inside = 4 * planes
    side = int(vision["image_size"]) // 32
    return {**shapes, **_attention_pool(side**2 + 1, inside, embedding)}


def _bottleneck(before: str, inside: int, planes: int, *, shortcut: bool) -> Shapes:
    convolutions = [(inside, planes, 1), (planes, planes, 3), (planes, 4 * planes, 1)]
    shapes: Shapes = {}
    for number, (source, target, side) in enumerate(convolutions, start=1):
        shapes |= {f"{before}.conv{number}.weight": (target, source, side, side)}
        shapes |= _batch_norm(f"{before}.bn{number}", target)
    if shortcut:
        shapes |= {f"{before}.downsample.0.weight": (4 * planes, inside, 1, 1)}
        shapes |= _batch_norm(f"{before}.downsample.1", 4 * planes)
    return shapes


def _attention_pool(positions: int, width: int, embedding: int) -> Shapes:
    shapes: Shapes = {"visual.attnpool.positional_embedding": (positions, width)}
    for name, outside in (("k_proj", width), ("q_proj", width), ("v_proj", width), ("c_proj", embedding)):
        shapes |= {f"visual.attnpool.{name}.weight": (outside, width), f"visual.attnpool.{name}.bias": (outside,)}
    return shapes


def _batch_norm(before: str, width: int) -> Shapes:
    buffers = {
        f"{before}.running_mean": (width,),
        f"{before}.running_var": (width,),
        f"{before}.num_batches_tracked": (),
    }
    return {**_pair(before, width), **buffers}


def _pair(before: str, width: int) -> Shapes:
    return {f"{before}.weight": (width,), f"{before}.bias": (width,)}

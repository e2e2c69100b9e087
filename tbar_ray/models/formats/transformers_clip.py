"""CLIPModel of Hugging Face transformers: config.json and preprocessor_config.json beside model.safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from tbar_ray.errors import CheckpointError
from tbar_ray.models.architectures import (
    NORMALISATIONS,
    architecture_config,
    attention_heads,
    normalisation_of,
)
from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.configurations import read_count, read_json, read_normalisation, section
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found
from tbar_ray.models.formats.layouts import Layout
from tbar_ray.models.formats.transformers_names import TRANSFORMERS

CONFIG: Final = "config.json"
IMAGES: Final = "preprocessor_config.json"
WEIGHTS: Final = "model.safetensors"
ACTIVATIONS: Final = {"quick_gelu": True, "gelu": False}
"""transformers' `hidden_act`, and whether it is QuickGELU."""
BICUBIC: Final = 3
"""Pillow's number of the interpolation."""


class TransformersClip(Format):
    """A folder, or the file of its weights alone."""

    name: ClassVar[str] = "Hugging Face transformers CLIPModel"

    def fits(self, found: Found) -> bool:
        """Whether tensors have transformers' names."""
        return any(name.startswith(("vision_model.", "text_model.")) for name in found.tensors)

    def layout(self, found: Found) -> Layout:  # noqa: ARG002 - the same for all
        """The names of transformers."""
        return TRANSFORMERS

    def evidence(self, found: Found) -> Evidence:
        """Activation, heads and normalisation as configured; nothing where the weights lie alone."""
        content, images = read_json(found.files, CONFIG), read_json(found.files, IMAGES)
        towers = [section(content, name) for name in ("vision_config", "text_config")]
        # keys that a configuration leaves out have transformers' defaults
        heads = [read_count(tower, "num_attention_heads", usual) for tower, usual in zip(towers, (12, 8), strict=True)]
        normalisation = read_normalisation(images.get("image_mean"), images.get("image_std"))
        if images.get("do_normalize") is False:
            normalisation = NORMALISATIONS["unnormalised"]
        if not content:
            return Evidence(notes=(f"without {CONFIG} beside it, its activation and heads cannot be told",))
        return Evidence(
            quick_gelu=_quick_gelu(towers),
            normalisation=normalisation,
            heads=(heads[0], heads[1]) if content.get("model_type") == "clip" else None,
            because=f"its {CONFIG}{f' and {IMAGES} say' if images else ' says'} so",
            stated=True,
        )


def _quick_gelu(towers: list[dict[str, Any]]) -> bool:
    acts = {str(tower.get("hidden_act", "quick_gelu")) for tower in towers}
    if len(acts) > 1 or not acts <= ACTIVATIONS.keys():
        raise CheckpointError(
            f"{CONFIG} names the activation {' and '.join(sorted(acts))}; open_clip computes CLIP with quick_gelu or "
            "gelu in both encoders"
        )
    return ACTIVATIONS[acts.pop()]


def configuration(architecture: str) -> dict[str, bytes]:
    """The files beside the weights of an architecture's folder.

    Raises:
        CheckpointError: if CLIPModel cannot compute it.
    """
    config, normalisation = architecture_config(architecture), normalisation_of(architecture)
    vision, text = config["vision_cfg"], config["text_cfg"]
    if (why := _foreign(config)) is not None:
        raise CheckpointError(f"transformers' CLIPModel cannot compute {architecture}: {why}; use --to open_clip")
    image_heads, text_heads = attention_heads(config)
    common = {"hidden_act": "quick_gelu" if config.get("quick_gelu") else "gelu", "projection_dim": config["embed_dim"]}
    content = {
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config["embed_dim"],
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_size": text["width"],
            "intermediate_size": 4 * text["width"],
            "num_attention_heads": text_heads,
            "num_hidden_layers": text["layers"],
            "max_position_embeddings": text["context_length"],
            "vocab_size": text["vocab_size"],
            "bos_token_id": text["vocab_size"] - 2,
            "eos_token_id": text["vocab_size"] - 1,
            **common,
        },
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": vision["width"],
            "intermediate_size": int(vision.get("mlp_ratio", 4) * vision["width"]),
            "num_attention_heads": image_heads,
            "num_hidden_layers": vision["layers"],
            "image_size": vision["image_size"],
            "patch_size": vision["patch_size"],
            **common,
        },
    }
    images = {
        "image_processor_type": "CLIPImageProcessor",
        "crop_size": {"height": vision["image_size"], "width": vision["image_size"]},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(normalisation.mean),
        "image_std": list(normalisation.std),
        "resample": BICUBIC,
        "size": {"shortest_edge": vision["image_size"]},
    }
    return {name: f"{json.dumps(part, indent=2)}\n".encode() for name, part in ((CONFIG, content), (IMAGES, images))}


PLAIN_VISION: Final = frozenset({"image_size", "layers", "width", "patch_size", "head_width", "mlp_ratio"})
PLAIN_TEXT: Final = frozenset({"context_length", "vocab_size", "width", "heads", "layers", "hf_tokenizer_name"})


def _foreign(config: Mapping[str, Any]) -> str | None:
    """What of a configuration CLIPModel does not know."""
    if isinstance(config["vision_cfg"].get("layers"), list):
        return "its image encoder is a ResNet"
    if (
        config["vision_cfg"].keys() - PLAIN_VISION
        or config["text_cfg"].keys() - PLAIN_TEXT
        or config.get("custom_text")
    ):
        return "its encoders are not CLIP's own transformers"
    return None

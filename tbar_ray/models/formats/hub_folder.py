"""Folders as open_clip puts them on the Hugging Face Hub: open_clip_config.json beside the weights.

Detect-CLIP's models are published so; their preprocess_cfg says mean 0 and deviation 1.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from tbar_ray.errors import CheckpointError
from tbar_ray.models.architectures import (
    Normalisation,
    architecture_config,
    architecture_files,
    attention_heads,
    normalisation_of,
)
from tbar_ray.models.formats.base import Format
from tbar_ray.models.formats.configurations import read_json, read_normalisation, section
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.found import Found

CONFIG: Final = "open_clip_config.json"
WEIGHTS: Final = "open_clip_model.safetensors"


class OpenClipFolder(Format):
    """open_clip's `hf-hub:` and `local-dir:`."""

    name: ClassVar[str] = "open_clip hub folder"

    def fits(self, found: Found) -> bool:
        """Whether the configuration lies beside it."""
        return CONFIG in found.files

    def evidence(self, found: Found) -> Evidence:
        """Activation, heads and normalisation as configured."""
        content = read_json(found.files, CONFIG)
        model, images = section(content, "model_cfg"), section(content, "preprocess_cfg")
        normalisation = read_normalisation(images.get("mean"), images.get("std"))
        try:
            heads = attention_heads(model) if "vision_cfg" in model else None
        except (TypeError, ValueError, AttributeError):
            raise CheckpointError(f"{CONFIG} describes no model; fetch the folder again") from None
        return Evidence(
            quick_gelu=bool(model.get("quick_gelu", False)),
            normalisation=normalisation,
            heads=heads,
            architecture=_name_of(model),
            because=f"its {CONFIG} says so",
            stated=True,
            notes=tuple(
                f"{key} of its images: {images[key]}" for key in ("interpolation", "resize_mode") if key in images
            ),
        )


def configuration(architecture: str) -> dict[str, bytes]:
    """The files beside the weights of an architecture's folder."""
    normalisation: Normalisation = normalisation_of(architecture)
    preprocess = {
        "mean": list(normalisation.mean),
        "std": list(normalisation.std),
        "interpolation": "bicubic",
        "resize_mode": "shortest",
    }
    content = {"model_cfg": architecture_config(architecture), "preprocess_cfg": preprocess}
    return {CONFIG: f"{json.dumps(content, indent=2)}\n".encode()}


def _name_of(model: dict[str, Any]) -> str | None:
    """The architecture of which this is the configuration."""
    return next((name for name in architecture_files() if architecture_config(name) == model), None)

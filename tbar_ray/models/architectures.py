"""Architecture configurations by name: open_clip's and the tiny ones of this project. Reads JSON without torch.

A name may carry what weights do not tell. `RN50-quickgelu` is RN50 with OpenAI's approximation of GELU; the suffix
works after every name, also where open_clip has no configuration of that name. `RN50@unnormalised` is RN50 whose images
are normalised by one of `NORMALISATIONS` instead of CLIP's. `ViT-B-32@384px` takes images of 384 px a side. Both may be
given: `ViT-B-32@unnormalised@384px`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest

CONFIG_DIR = Path(__file__).parent / "configs"
QUICK_GELU: Final = "-quickgelu"
SIZES: Final = range(16, 1025)
"""Sides of images in pixels, as those of drawn scenes."""

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class Normalisation:
    """Mean and deviation of each colour channel, of images in [0, 1]."""

    mean: Channels
    std: Channels


NORMALISATIONS: Final = {
    "clip": Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "imagenet": Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unnormalised": Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
"""By the name that follows `@`: OpenAI's, torchvision's, SigLIP's, and none at all."""


@dataclass(frozen=True)
class Variant:
    """What the name of an architecture says.

    Attributes:
        base: the name of its configuration.
        quick_gelu: whether QuickGELU takes the place of the configuration's GELU.
        normalisation: one of `NORMALISATIONS`; None: the configuration's own, which is CLIP's.
        image_size: side in pixels of the images it takes; None: the configuration's.
    """

    base: str
    quick_gelu: bool = False
    normalisation: str | None = None
    image_size: int | None = None


@cache
def architecture_files() -> dict[str, Path]:
    """JSON configuration file of every architecture, by name."""
    spec = find_spec("open_clip")  # locates the package without importing it, which takes seconds
    folders = [Path(spec.origin).parent / "model_configs"] if spec and spec.origin else []
    return {file.stem: file for folder in [*folders, CONFIG_DIR] for file in sorted(folder.glob("*.json"))}


def variant(name: str) -> Variant:
    """Take an architecture's name apart.

    Raises:
        SpecError: if the architecture, its normalisation or its image size is unknown; the message suggests the nearest
            names.
    """
    base, *marks = name.split("@")
    size, normalisation = None, None
    for mark in marks:
        if (pixels := re.fullmatch(r"(\d{1,5})px", mark)) and size is None:
            size = _size(name, int(pixels[1]))
        elif mark in NORMALISATIONS and normalisation is None:
            normalisation = mark
        else:
            raise SpecError(
                f"architecture {name!r}: no normalisation or size {mark!r}{nearest(mark, [*NORMALISATIONS, '128px'])}"
            )
    files = architecture_files()
    if base not in files and base.removesuffix(QUICK_GELU) in files:
        return Variant(base.removesuffix(QUICK_GELU), True, normalisation, size)
    if base not in files:
        raise SpecError(f"unknown model architecture {name!r}{nearest(name, files)}")
    return Variant(base, False, normalisation, size)


def _size(name: str, side: int) -> int:
    if side not in SIZES:
        raise SpecError(f"architecture {name!r}: images have sides of {SIZES[0]} to {SIZES[-1]} px, not {side}")
    return side


def architecture_config(name: str) -> dict[str, Any]:
    """An architecture's open_clip configuration.

    Raises:
        SpecError: as `variant`.
    """
    found = variant(name)
    config: dict[str, Any] = json.loads(architecture_files()[found.base].read_text())
    if found.image_size is not None:
        config["vision_cfg"] = {**config["vision_cfg"], "image_size": found.image_size}
    return {**config, "quick_gelu": True} if found.quick_gelu else config


def normalisation_of(name: str) -> Normalisation:
    """How an architecture normalises images.

    Raises:
        SpecError: as `variant`.
    """
    return NORMALISATIONS[variant(name).normalisation or "clip"]


def normalises_over_batches(name: str) -> bool:
    """Whether the image encoder has BatchNorm. One of timm's is built to see, which takes a second.

    Raises:
        SpecError: if the architecture is unknown.
    """
    vision = architecture_config(name)["vision_cfg"]
    if "timm_model_name" not in vision:
        return isinstance(vision.get("layers"), list)  # open_clip's own ResNets; its transformers have LayerNorm
    from tbar_ray.models.factory import create_model
    from tbar_ray.models.statistics import has_statistics

    return has_statistics(create_model(name))


def weights_size(name: str) -> int:
    """Bytes of an architecture's weights in float32, estimated from its widths and depths without building it.

    Of an image encoder of timm, whose size its name alone says, only the text tower counts.

    Raises:
        SpecError: if the architecture is unknown.
    """
    config = architecture_config(name)
    vision, text = config["vision_cfg"], config.get("text_cfg", {})
    width = int(text.get("width", 512))
    count = int(text.get("vocab_size", 49408)) * width + _transformer(width, int(text.get("layers", 12)))
    if "timm_model_name" not in vision:
        layers, width = vision.get("layers", 12), int(vision.get("width", 768))
        count += _resnet(width, layers) if isinstance(layers, list) else _transformer(width, int(layers))
    return 4 * count


def image_size(name: str) -> int:
    """Side in pixels of the images that an architecture takes.

    Raises:
        SpecError: as `architecture_config`.
    """
    return int(architecture_config(name)["vision_cfg"]["image_size"])


def _transformer(width: int, layers: int) -> int:
    """Weights of a transformer: four matrices of attention, and two of four times the width."""
    return 12 * layers * width**2


def _resnet(width: int, layers: list[int]) -> int:
    """Weights of CLIP's ResNet: bottlenecks of 4, 9 and 4 times their planes squared, and attention pooling."""
    bottlenecks = sum(17 * depth * (width << stage) ** 2 for stage, depth in enumerate(layers))
    return bottlenecks + 3 * (32 * width) ** 2


def attention_heads(config: Mapping[str, Any]) -> tuple[int, int]:
    """Attention heads of image and text encoder of a configuration; 0 for an image encoder of timm."""
    vision, text = config["vision_cfg"], config.get("text_cfg", {})
    width, each = int(vision.get("width", 768)), int(vision.get("head_width", 64))
    if "timm_model_name" in vision:
        return 0, int(text.get("heads", 8))
    # the attention pooling of CLIP's ResNet is 32 times as wide as its first stage
    return (32 * width if isinstance(vision.get("layers"), list) else width) // each, int(text.get("heads", 8))

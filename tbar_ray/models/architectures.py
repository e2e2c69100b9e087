"""Architecture configurations by name: open_clip's and the tiny ones of this project. Reads JSON without torch."""

from __future__ import annotations

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest

CONFIG_DIR = Path(__file__).parent / "configs"


@cache
def architecture_files() -> dict[str, Path]:
    """JSON configuration file of every architecture, by name."""
    spec = find_spec("open_clip")  # locates the package without importing it, which takes seconds
    folders = [Path(spec.origin).parent / "model_configs"] if spec and spec.origin else []
    return {file.stem: file for folder in [*folders, CONFIG_DIR] for file in sorted(folder.glob("*.json"))}


def architecture_config(name: str) -> dict[str, Any]:
    """An architecture's open_clip configuration.

    Raises:
        SpecError: if the architecture is unknown; the message suggests the nearest names.
    """
    files = architecture_files()
    if name not in files:
        raise SpecError(f"unknown model architecture {name!r}{nearest(name, files)}")
    config: dict[str, Any] = json.loads(files[name].read_text())
    return config


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

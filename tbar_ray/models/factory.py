"""Creating open_clip models by name, with a pretrained tag, a local file or random weights, in one code path."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tbar_ray.data.cache import default_cache
from tbar_ray.data.images import Interpolation
from tbar_ray.data.locate import local_copy
from tbar_ray.data.places import is_remote, resolve
from tbar_ray.errors import CheckpointError, DataError, first_line
from tbar_ray.models.architectures import architecture_config
from tbar_ray.models.checkpoint import is_weights_file, load_state_dict
from tbar_ray.models.library import open_clip
from tbar_ray.models.shipped import load_shipped, shipped_hashes
from tbar_ray.seeding import stable_hash


@dataclass(frozen=True)
class Preprocessing:
    """Image preprocessing of a model: side in pixels, normalisation per channel, interpolation of the resize."""

    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: Interpolation


def create_model(
    architecture: str,
    *,
    pretrained: str | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> nn.Module:
    """Create a CLIP model in float32.

    Args:
        architecture: an open_clip architecture or one of this project's (tbar-GN-pico, tbar-RN-tiny, tbar-ViT-tiny,
            tbar-ConvNeXt-tiny).
        pretrained: a tag of open_clip or of this package (`scenes`), the path or URL of a .safetensors or .pt file, or
            None for random weights.
        seed: seed of random weights; the global random state is preserved.
        device: device of the model.

    Raises:
        SpecError: if the architecture is unknown.
        CheckpointError: if the tag is unknown or cannot be downloaded, or the file does not fit.
    """
    architecture_config(architecture)
    is_file = pretrained is not None and is_weights_file(pretrained)
    tag = pretrained if pretrained is not None and not is_file else None
    ours = shipped_hashes().get(architecture, {})
    if tag is not None and tag not in (tags := [*ours, *open_clip().list_pretrained_tags_by_model(architecture)]):
        known = ", ".join(tags) or "none"
        raise CheckpointError(f"{architecture} has no pretrained tag {tag!r} (known: {known}) and no such file")
    shipped = load_shipped(architecture, tag) if tag is not None and tag in ours else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stable_hash(seed, "initial weights"))
        try:
            downloaded = tag if shipped is None else None
            model = open_clip().create_model(architecture, pretrained=downloaded, precision="fp32", device="cpu")
        except (RuntimeError, OSError) as error:
            reason = first_line(error)
            raise CheckpointError(f"{architecture} with pretrained {tag!r}: {reason}") from None
    if shipped is not None:
        load_weights(model, shipped, source=f"the shipped tag {tag}", architecture=architecture)
    if is_file and pretrained is not None:
        load_weights(model, load_state_dict(weights_file(pretrained)), source=pretrained, architecture=architecture)
    # Convolutions are a third faster in channels-last layout, also on the CPU; transformers are unaffected.
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[no-any-return]


def weights_file(weights: str | Path) -> Path:
    """Local file of weights that a path or URL names; from a URL it is downloaded once per machine.

    Raises:
        CheckpointError: if it is not there, or cannot be downloaded.
    """
    place = resolve(weights)
    if not is_remote(place):
        return Path(place)
    try:
        return local_copy(place, default_cache())
    except DataError as error:
        raise CheckpointError(f"weights: {error}") from None


def load_weights(model: nn.Module, state: dict[str, torch.Tensor], *, source: str, architecture: str) -> None:
    """Copy a state dict into `model`; keys and shapes must match exactly.

    Raises:
        CheckpointError: one line with the number of mismatches and an example of each kind.
    """
    own = model.state_dict()
    missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
    wrong = [key for key in own.keys() & state.keys() if own[key].shape != state[key].shape]
    if missing or unexpected or wrong:
        parts = [
            f"{len(keys)} {what} (e.g. {min(keys)})"
            for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", wrong))
            if keys
        ]
        if (before := _common_prefix(own.keys(), state.keys())) is not None:
            raise CheckpointError(
                f"{source} is a checkpoint of {architecture}, but its names begin with {before!r}: save it without"
            )
        layout = "; its names are those of Hugging Face transformers: convert it to open_clip's" * any(
            key.startswith(("vision_model.", "text_model.")) for key in unexpected
        )
        raise CheckpointError(
            f"{source} is not a checkpoint of {architecture}: keys {', '.join(parts)}; found {len(state)} tensors, "
            f"expected {len(own)}{layout}"
        )
    model.load_state_dict(state, strict=True)


def _common_prefix(own: Collection[str], names: Collection[str]) -> str | None:
    """What stands before every name of a model's own in a checkpoint; None where it is not that."""
    first = min(own)
    prefixes = {name.removesuffix(first) for name in names if name.endswith(f".{first}")}
    return next((prefix for prefix in sorted(prefixes) if all(f"{prefix}{name}" in names for name in own)), None)


def preprocessing(model: nn.Module) -> Preprocessing:
    """The image preprocessing that open_clip recorded on the model."""
    config: dict[str, Any] = model.visual.preprocess_cfg  # type: ignore[union-attr,assignment]
    size = config["size"]
    return Preprocessing(
        size=int(size if isinstance(size, int) else size[0]),
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        # open_clip's third value, "random", is bicubic outside training
        interpolation="bilinear" if config["interpolation"] == "bilinear" else "bicubic",
    )

"""Creating open_clip models by name, with a pretrained tag, a local file or random weights, in one code path."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from tbar_ray.data.cache import default_cache
from tbar_ray.data.download import local_copy
from tbar_ray.data.images import Interpolation
from tbar_ray.data.places import is_remote, resolve
from tbar_ray.errors import CheckpointError, DataError, first_line
from tbar_ray.models.agreement import require_agreement, require_text_tower
from tbar_ray.models.architectures import CONFIG_DIR, NORMALISATIONS, Variant, architecture_files, variant
from tbar_ray.models.checkpoint import CheckpointFormat, is_weights_file, load_checkpoint
from tbar_ray.models.formats.names import mixed_prefix
from tbar_ray.models.inspection.inspect import look_at
from tbar_ray.models.inspection.shapes import expected_shapes
from tbar_ray.models.library import open_clip
from tbar_ray.models.positions import at_size
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
    text: Mapping[str, torch.Tensor] | None = None,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> nn.Module:
    """Create a CLIP model in float32.

    Args:
        architecture: an open_clip architecture or one of this project's (tbar-GN-pico, tbar-RN-tiny, tbar-ViT-tiny,
            tbar-ConvNeXt-tiny), or a variant of one (`RN50-quickgelu`, `RN50@unnormalised`, `ViT-B-32@384px`).
        pretrained: a tag of open_clip or of this package (`scenes`), the path of a checkpoint in any of the known
            formats, the URL of a file, or None for random weights.
        text: the text tower (`text_tower`) of a checkpoint that holds an image encoder alone.
        seed: seed of random weights; the global random state is preserved.
        device: device of the model.

    Raises:
        SpecError: if the architecture is unknown.
        CheckpointError: if the tag is unknown or cannot be downloaded, or the file does not fit.
    """
    kind = variant(architecture)
    is_file = pretrained is not None and is_weights_file(pretrained)
    tag = pretrained if pretrained is not None and not is_file else None
    if tag is not None:
        require_tag(architecture, tag)
        if text is not None:
            raise CheckpointError(f"the tag {tag} has a text tower of its own: leave text_from out")
    shipped = load_shipped(kind.base, tag) if tag is not None and tag in _own_tags(kind) else None
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(stable_hash(seed, "initial weights"))
        try:
            downloaded = tag if shipped is None else None
            model = open_clip().create_model(
                kind.base,
                pretrained=downloaded,
                precision="fp32",
                device="cpu",
                force_quick_gelu=kind.quick_gelu,
                force_image_size=kind.image_size,
            )
        except (RuntimeError, OSError) as error:
            reason = first_line(error)
            raise CheckpointError(f"{architecture} with pretrained {tag!r}: {reason}") from None
    if kind.normalisation is not None:
        _normalise_by(model, kind.normalisation)
    if shipped is not None:
        load_weights(model, shipped, source=f"the shipped tag {tag}", architecture=architecture)
    if is_file and pretrained is not None:
        load_file(model, weights_file(pretrained), architecture, text=text)
    # Convolutions are a third faster in channels-last layout, also on the CPU; transformers are unaffected.
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[no-any-return]


def require_tag(architecture: str, tag: str) -> None:
    """Check that an architecture has weights under a tag, of open_clip or of this package; nothing is downloaded.

    Raises:
        SpecError: if the architecture is unknown.
        CheckpointError: if it has no such tag.
    """
    kind = variant(architecture)
    if tag in (own := _own_tags(kind)):
        return
    if tag not in (tags := [*own, *_open_clip_tags(kind)]):
        known = ", ".join(tags) or "none"
        raise CheckpointError(f"{architecture} has no pretrained tag {tag!r} (known: {known}) and no such file")


def load_file(
    model: nn.Module, path: Path, architecture: str, *, text: Mapping[str, torch.Tensor] | None = None
) -> CheckpointFormat:
    """Copy a checkpoint in any of the known formats into `model`, and return how it is written.

    Args:
        model: a model of the architecture, in float32.
        path: a file, or a folder of weights and configuration.
        architecture: its name. What the checkpoint says of activation, heads and normalisation must agree with it.
        text: the text tower (`text_tower`) of a checkpoint that holds an image encoder alone.

    Raises:
        CheckpointError: if the checkpoint is refused, contradicts the architecture, does not fit, has no text tower, or
            has weights that are not finite.
    """
    state, form = load_checkpoint(path)
    try:
        require_agreement(form.evidence, architecture, str(path))
    except CheckpointError:
        # of another architecture altogether: the name with the other activation would fit no better
        kind, guess = variant(architecture), look_at(path).guess
        if guess.refuses(kind.base, sized=kind.image_size is not None):
            raise CheckpointError(f"{path} is not a checkpoint of {architecture}: {guess.told}") from None
        raise
    alone = all(name.startswith("visual.") for name in state)
    require_text_tower(alone and text is None, architecture, str(path))
    if text is not None and not alone:
        raise CheckpointError(f"{path} has a text tower of its own: leave text_from out")
    state = {**(text or {}), **state}
    try:
        load_weights(model, state, source=str(path), architecture=architecture)
    except CheckpointError as error:
        raise CheckpointError(f"{error}; {look_at(path).guess.told}") from None
    _require_finite(state, str(path))
    return form


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

    Positions of an image transformer are interpolated if the architecture's name gives an image size (`@128px`).

    Raises:
        CheckpointError: one line with the number of mismatches and an example of each kind.
    """
    own = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    state = at_size(state, own, architecture)
    _require_shapes(own, state, source, architecture)
    model.load_state_dict(state, strict=True)


def require_fit(state: Mapping[str, torch.Tensor], source: str, architecture: str) -> None:
    """Check that a state dict has the names and shapes of an architecture.

    Raises:
        CheckpointError: as `load_weights`.
    """
    shapes = expected_shapes(architecture)
    if shapes is None:
        shapes = {name: tuple(value.shape) for name, value in create_model(architecture).state_dict().items()}
    _require_shapes(shapes, at_size(state, shapes, architecture), source, architecture)


def _require_shapes(
    own: Mapping[str, tuple[int, ...]], state: Mapping[str, torch.Tensor], source: str, architecture: str
) -> None:
    missing, unexpected = own.keys() - state.keys(), state.keys() - own.keys()
    wrong = [key for key in own.keys() & state.keys() if own[key] != tuple(state[key].shape)]
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
        if (mixed := mixed_prefix(state)) is not None:
            parts.append(
                f"{mixed[1]} of {len(state)} names begin with {mixed[0]!r} and the others do not: name all alike"
            )
        raise CheckpointError(
            f"{source} is not a checkpoint of {architecture}: keys {', '.join(parts)}; found {len(state)} tensors, "
            f"expected {len(own)}"
        )


def _require_finite(state: Mapping[str, torch.Tensor], source: str) -> None:
    broken = [name for name, value in state.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise CheckpointError(
            f"{source}: {len(broken)} of its {len(state)} tensors hold NaN or infinity (e.g. {broken[0]}): its "
            "training diverged, or the file is damaged; take an earlier checkpoint"
        )


def _own_tags(kind: Variant) -> Collection[str]:
    """Tags of weights that come with this package."""
    return () if kind.quick_gelu else shipped_hashes().get(kind.base, {})


def _open_clip_tags(kind: Variant) -> list[str]:
    """open_clip's tags of an architecture. Their weights belong to the activation of its configuration."""
    if kind.quick_gelu or architecture_files()[kind.base].parent == CONFIG_DIR:
        return []  # without the seconds that importing open_clip takes
    return list(open_clip().list_pretrained_tags_by_model(kind.base))


def _normalise_by(model: nn.Module, name: str) -> None:
    """Record another normalisation on a model, where `preprocessing` and open_clip look for it."""
    normalisation, visual = NORMALISATIONS[name], model.visual
    about: dict[str, Any] = visual.preprocess_cfg  # type: ignore[union-attr,assignment]
    visual.preprocess_cfg = {**about, "mean": normalisation.mean, "std": normalisation.std}  # type: ignore[union-attr]


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

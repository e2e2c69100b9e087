"""Example images under a trigger: in training, at test if that differs, and cover samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from tbar_ray.triggers.badclip import BadCLIP, random_start
from tbar_ray.triggers.base import Trigger, cover_uint8, scaled, stamp_uint8
from tbar_ray.triggers.presets import resolve
from tbar_ray.triggers.registry import build_trigger


@dataclass(frozen=True)
class Preview:
    """Images before and after, uint8 [B, 3, H, W] on the CPU, with a caption.

    Attributes:
        title: name of the trigger or preset, with the phase it applies to if it does not apply to all.
        detail: its constants.
        clean: the original images.
        changed: the images changed by the trigger.
        role: kind of change: "triggered", or "cover" for cover samples.
    """

    title: str
    detail: str
    clean: Tensor
    changed: Tensor
    role: str = "triggered"


def preview(
    name: str, parameters: Mapping[str, object], images: Tensor, keys: Sequence[str], seed: int
) -> Iterator[Preview]:
    """Stamp images with a trigger or preset and yield previews of training, test and cover samples.

    BadCLIP's patch results from an optimisation against a model; the preview shows the noise it starts from.

    Args:
        name: a trigger or a preset.
        parameters: trigger parameters, which override the preset's.
        images: uint8 [B, 3, H, W].
        keys: B sample keys.
        seed: seed of the trigger's pattern and per-sample draws.

    Raises:
        SpecError: if the name or a parameter is unknown or out of range.
    """
    kind, merged = resolve(name, parameters)
    trigger = build_trigger(kind, merged, seed)
    constants = merged if merged else {key: getattr(trigger, key) for key in type(trigger).model_fields}
    detail = ", ".join([kind, listed({key: value for key, value in constants.items() if key != "seed"})])
    if isinstance(trigger, BadCLIP) and not trigger.pixels:
        trigger = _untrained(trigger, images)
        detail += "; its patch is learned; shown is the noise that the optimisation starts from"
    yield Preview(name, detail, images, stamp_uint8(trigger, images, keys))
    at_test = trigger.at_test()
    if at_test != trigger:
        kept = trigger.model_dump()
        differing = {key: value for key, value in at_test.model_dump().items() if value != kept[key]}
        yield Preview(f"{name}, at test", listed(differing), images, stamp_uint8(at_test, images, keys))
    if trigger.cover_ratio > 0:
        covered = f"images that keep their caption, {show(trigger.cover_ratio)} per poisoned sample"
        yield Preview(f"{name}, cover samples", covered, images, cover_uint8(trigger, images, keys), "cover")


def listed(parameters: Mapping[str, object]) -> str:
    """Format parameters for tables: "magnitude 30, place random"; unset parameters are omitted."""
    return ", ".join(f"{key} {show(value)}" for key, value in parameters.items() if value is not None and value != "")


def show(value: object) -> str:
    """Format a parameter's value for tables: 30 instead of 30.0, (31, 31), yes."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return f"({', '.join(show(item) for item in value)})"
    return str(value)


def _untrained(trigger: BadCLIP, images: Tensor) -> Trigger:
    size = scaled(trigger.patch_size, min(images.shape[-2:]))
    return trigger.with_pixels(random_start(trigger.seed, size))

"""The base class of all triggers, and stamping of uint8 images."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

Stamp = Callable[[Tensor, Sequence[str]], Tensor]

REFERENCE_SIZE = 224
"""Image side in pixels at which papers state their constants; lengths are scaled to other sizes."""


CHUNK_BYTES = 1 << 19
"""Bytes of uint8 images stamped at once on a CPU: small enough for their floats to stay in its cache (larger chunks are
several times slower at 224 px)."""
GPU_CHUNK_BYTES = 1 << 27


class Trigger(BaseModel, ABC):
    """An image perturbation, given by its parameters: a pure function of (images, sample keys).

    Randomness is drawn per sample from (seed, sample key), so that a sample gets the same stamp in any
    batch, worker, order or process. Triggers act in pixel space, after decoding and resizing and before
    normalisation; a stamped image is never re-encoded (JPEG destroys small triggers).

    Subclasses are frozen pydantic models: their fields are the attack's parameters, validated and
    hashable. A subclass implements `stamp` and sets the class variables `name` and `differentiable`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    differentiable: ClassVar[bool]
    """Whether gradients flow from the stamped image to the input image."""

    version: ClassVar[int] = 1
    """Raised whenever the same fields stamp something else, or change cover samples otherwise."""
    learned: ClassVar[bool] = False
    """Whether the pattern is first optimised against a model; the result becomes a field of the trigger."""

    seed: int = Field(default=0, ge=0, description="seed of the trigger's own pattern and of per-sample draws")

    @property
    def cover_ratio(self) -> float:
        """Cover samples per poisoned sample: images changed by `cover` that keep their true caption (WaNet)."""
        return 0.0

    def at_test(self) -> Trigger:
        """The trigger used at evaluation; the same one for most attacks."""
        return self

    def cover(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - for subclasses
        """Change the images of cover samples; arguments and result as in `__call__`. Only where `cover_ratio` > 0."""
        raise TypeError(f"{self.name} has no cover samples")

    def __call__(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Stamp copies of `images`.

        Args:
            images: float tensor [B, 3, H, W] with values in [0, 1], on any device.
            keys: B sample keys, one for each image.

        Returns:
            A new tensor of the same shape, dtype and device, with values in [0, 1].

        Raises:
            ValueError: if shape, dtype or the number of keys is wrong.
        """
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise ValueError(
                f"{self.name}: images must be float [B, 3, H, W] in [0, 1], got {images.dtype} {tuple(images.shape)}"
            )
        if len(keys) != len(images):
            raise ValueError(f"{self.name}: {len(images)} images but {len(keys)} sample keys")
        if len(images) == 0:
            return images.clone()
        return self.stamp(images, keys)

    @abstractmethod
    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Stamp a validated, non-empty batch; must not modify `images` in place."""


def scaled(pixels: int, side: int) -> int:
    """Scale a length given at 224 px to an image of `side` px; at least one pixel."""
    return max(1, round(pixels * side / REFERENCE_SIZE))


def stamp_uint8(trigger: Trigger, images: Tensor, keys: Sequence[str]) -> Tensor:
    """Stamp uint8 images [B, 3, H, W]; values are rounded to the nearest of 256 levels.

    Works in chunks, because a whole evaluation set in float32 would need many times its own memory. A trigger that
    changes few pixels may stamp uint8 directly (`stamp_levels`); the result is the same.
    """
    levels: Stamp | None = getattr(trigger, "stamp_levels", None)
    return _in_chunks(levels or partial(_through_floats, trigger), images, keys)


def cover_uint8(trigger: Trigger, images: Tensor, keys: Sequence[str]) -> Tensor:
    """Change the uint8 images [B, 3, H, W] of cover samples, in chunks as `stamp_uint8`."""
    return _in_chunks(partial(_through_floats, trigger.cover), images, keys)


def _in_chunks(change: Stamp, images: Tensor, keys: Sequence[str]) -> Tensor:
    if len(keys) != len(images):
        raise ValueError(f"{len(images)} images but {len(keys)} sample keys")
    budget = CHUNK_BYTES if images.device.type == "cpu" else GPU_CHUNK_BYTES
    size = max(1, budget // max(1, images[:1].numel()))
    changed = torch.empty_like(images)
    for start in range(0, len(images), size):
        rows = slice(start, start + size)
        changed[rows] = change(images[rows], keys[rows])
    return changed


def _through_floats(change: Stamp, images: Tensor, keys: Sequence[str]) -> Tensor:
    floats = change(images.to(torch.float32).div_(255), keys)
    return floats.mul(255).round_().clamp_(0, 255).to(torch.uint8)

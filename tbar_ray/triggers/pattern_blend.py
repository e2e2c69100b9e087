"""Triggers with one pattern for every image: mixed in (`PatternBlend`) or added (`PatternSum`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.triggers.base import Trigger

KEPT = 32
"""Patterns cached per process; each takes 0.6 MB at 224 px in float32."""


class PatternTrigger(Trigger):
    """A trigger whose pattern depends only on its fields and the image size, never on an image or its key."""

    @abstractmethod
    def pattern(self, height: int, width: int) -> Tensor:
        """Draw the pattern, float [3, height, width], on the CPU."""

    def mask(self, height: int, width: int) -> Tensor | None:  # noqa: ARG002 - for subclasses
        """Weight of the pattern per pixel, [3, height, width] in [0, 1]; None means 1 everywhere."""
        return None


class PatternBlend(PatternTrigger):
    """(1 - ratio)·x + ratio·p; a mask m replaces the ratio by ratio·m, so pixels with m = 0 are unchanged."""

    ratio: float = Field(default=0.2, gt=0, le=1, description="share of the pattern in the mix")

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - same for every sample
        """Blend the pattern into every image."""
        pattern, mask = kept(self, images)
        if mask is None:
            return torch.lerp(images, pattern.expand_as(images), self.ratio)
        return torch.lerp(images, pattern.expand_as(images), self.ratio * mask)


class PatternSum(PatternTrigger):
    """x + p, clipped to [0, 1]."""

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - same for every sample
        """Add the pattern to every image."""
        pattern, _ = kept(self, images)
        return torch.add(images, pattern).clamp_(0, 1)


def kept(trigger: PatternTrigger, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """Pattern and mask of a trigger for images of this size, dtype and device, drawn once per process.

    The tensors are shared between calls: never write to them.
    """
    return _kept(trigger, images.shape[-2], images.shape[-1], images.dtype, images.device)


@lru_cache(maxsize=KEPT)
def _kept(
    trigger: PatternTrigger, height: int, width: int, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor | None]:
    # A tensor created in inference mode could not be used later where gradients are needed.
    with torch.inference_mode(False):
        mask = trigger.mask(height, width)
        return trigger.pattern(height, width).to(device, dtype), None if mask is None else mask.to(device, dtype)

"""Triggers by preset or name, from an image, or from a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from tbar_ray.api.pixels import Picture, picture
from tbar_ray.errors import DataError, SpecError
from tbar_ray.naming import build_named
from tbar_ray.triggers.base import Trigger, scaled
from tbar_ray.triggers.patch import FixedPatch
from tbar_ray.triggers.pattern_blend import PatternBlend
from tbar_ray.triggers.presets import PRESETS, resolve
from tbar_ray.triggers.registry import TRIGGERS

Stamp = Callable[[Tensor], Tensor]
"""A trigger as a function: float images [B, 3, H, W] in [0, 1] to stamped ones."""


class ImagePatch(FixedPatch):
    """A given image as a square patch; `patch_size` and `place` as for every patch."""

    name: ClassVar[str] = "patch"
    differentiable: ClassVar[bool] = True

    pixels: bytes = Field(repr=False, description="RGB levels, row by row")
    height: int = Field(gt=0, description="of the given image, in pixels")
    width: int = Field(gt=0, description="of the given image, in pixels")

    def patch(self, side: int) -> Tensor:
        """The patch [3, s, s] in [0, 1] for images whose shorter side is `side`; not to be modified."""
        size = scaled(self.patch_size, side)
        return _resized(self.pixels, self.height, self.width, size, size)


class ImageBlend(PatternBlend):
    """(1 − ratio)·x + ratio·p with a given image p, stretched over the whole image."""

    name: ClassVar[str] = "blend"
    differentiable: ClassVar[bool] = True

    pixels: bytes = Field(repr=False, description="RGB levels, row by row")
    height: int = Field(gt=0, description="of the given image, in pixels")
    width: int = Field(gt=0, description="of the given image, in pixels")

    def pattern(self, height: int, width: int) -> Tensor:
        """The image stretched to [3, height, width], in [0, 1]; not to be modified."""
        return _resized(self.pixels, self.height, self.width, height, width)


class FunctionTrigger(Trigger):
    """A trigger that a function stamps: float images [B, 3, H, W] in [0, 1] to images of the same shape and range."""

    name: ClassVar[str] = "function"
    differentiable: ClassVar[bool] = False

    function: Stamp

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - the function sees images alone
        """Stamp by the function.

        Raises:
            DataError: if it does not return images of that shape with values in [0, 1].
        """
        stamped = self.function(images.clone())
        if not isinstance(stamped, Tensor) or stamped.shape != images.shape:
            got = tuple(stamped.shape) if isinstance(stamped, Tensor) else type(stamped).__name__
            raise DataError(f"trigger function: it must return images {tuple(images.shape)}, but returned {got}")
        if not bool(((stamped >= 0) & (stamped <= 1)).all()):  # NaN compares false
            raise DataError("trigger function: it must return values in [0, 1]; clamp them")
        return stamped.to(images)


_OF_IMAGE: dict[str, type[Trigger]] = {"patch": ImagePatch, "blend": ImageBlend}


def trigger(what: str | Stamp, *, image: Picture | None = None, seed: int = 0, **parameters: object) -> Trigger:
    """Make a trigger from a preset, a registered name, an image or a function.

    Args:
        what: a preset (`cleanclip/badnets`), a registered trigger (`badnets`, `blended`, `wanet`, …; `list_triggers()`
            lists both), `"patch"` or `"blend"` with an `image`, or a function from float images [B, 3, H, W] in [0, 1]
            to stamped images of the same shape.
        image: for `"patch"` and `"blend"`: a file, a PIL image, or an array [3, H, W].
        seed: of the trigger's own pattern and of its draws for each image.
        **parameters: of the trigger, e.g. `patch_size=16, place="bottom-right"` (pixels at 224 px) or `ratio=0.2`.

    Raises:
        SpecError: if a name or parameter is unknown or out of range, or an image is missing or not used by the trigger.
        DataError: if the image cannot be read.
    """
    if callable(what):
        if parameters or image is not None:
            raise SpecError("a trigger function takes no parameters here; bind them with functools.partial")
        return FunctionTrigger(function=what, seed=seed)
    if what in _OF_IMAGE:
        if image is None:
            raise SpecError(f"trigger {what!r} needs an image: give image=FILE or an array [3, H, W]")
        pixels = picture(image)
        size = {"pixels": pixels.tobytes(), "height": pixels.shape[0], "width": pixels.shape[1]}
        return build_named(_OF_IMAGE, "trigger", what, {"seed": seed, **parameters, **size})
    if image is not None:
        raise SpecError(f"trigger {what!r} takes no image; 'patch' and 'blend' do")
    name, resolved = resolve(what, parameters)
    return build_named({**TRIGGERS, **_OF_IMAGE}, "trigger", name, {"seed": seed, **resolved})


def list_triggers() -> tuple[str, ...]:
    """Names that `trigger` accepts: registered triggers, then presets of papers."""
    return (*sorted([*TRIGGERS, *_OF_IMAGE]), *sorted(PRESETS))


@lru_cache(maxsize=16)
def _resized(pixels: bytes, height: int, width: int, rows: int, columns: int) -> Tensor:
    image = Image.fromarray(np.frombuffer(pixels, np.uint8).reshape(height, width, 3))
    resized = np.array(image.resize((columns, rows), Image.Resampling.BICUBIC))
    return torch.from_numpy(resized).permute(2, 0, 1).to(torch.float32) / 255

"""Patch triggers: where a small square goes, and pasting it. What it shows is each attack's own file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor

from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.base import REFERENCE_SIZE, Trigger, scaled

Place = Literal["random", "centre", "top-left", "top-right", "bottom-left", "bottom-right", "fixed"]

Coordinate = Annotated[int, Field(ge=0, lt=REFERENCE_SIZE)]


class PatchTrigger(Trigger):
    """A square pasted over the image, at a place drawn for each sample key or the same for all.

    Lengths and places are given at 224 px and scaled; the square itself is drawn at its own resolution
    (drawing at 224 px and shrinking would blur it). On images that are not square, the patch and the
    centre follow the image, rows scale with the height and columns with the width.
    """

    patch_size: int = Field(default=16, ge=1, le=REFERENCE_SIZE, description="side of the patch in pixels at 224 px")
    place: Place = Field(default="random", description="where the patch goes; random: drawn for each sample")
    at: tuple[Coordinate, Coordinate] | None = Field(
        default=None, description="row and column of the top-left corner at 224 px, with place fixed only"
    )
    margin: int = Field(
        default=0,
        ge=0,
        lt=REFERENCE_SIZE,
        description="pixels at 224 px between a corner place and the border, or that random never uses at the "
        "right and bottom border; centre and fixed have none",
    )
    test_place: Place | None = Field(default=None, description="evaluation's place, where it differs")

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        places = {self.place} if self.test_place is None else {self.place, self.test_place}
        if self.at is None and "fixed" in places:
            field = "place" if self.place == "fixed" else "test_place"
            raise ValueError(f"{field} is fixed, so at must give row and column of the corner at 224 px")
        if self.at is not None and "fixed" not in places:
            raise ValueError(f"at is for place fixed only, but place is {self.place}; drop at or set place to fixed")
        room = REFERENCE_SIZE - self.patch_size
        if self.at is not None and max(self.at) > room:
            row, column = self.at
            raise ValueError(
                f"a patch of {self.patch_size} px at ({row}, {column}) leaves the image of 224 px; row and column "
                f"may be at most {room}"
            )
        if self.margin > room and places - {"centre", "fixed"}:
            raise ValueError(f"margin {self.margin} and patch_size {self.patch_size} together exceed 224 px; lower one")
        return self

    def at_test(self) -> Trigger:
        """Return the same patch at `test_place`."""
        if self.test_place is None or self.test_place == self.place:
            return self
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        at = self.at if self.test_place == "fixed" else None
        return type(self)(**{**fields, "place": self.test_place, "at": at, "test_place": None})

    def side(self, height: int, width: int) -> int:
        """Return the patch's side in pixels of such images; at least one."""
        return scaled(self.patch_size, min(height, width))

    def corner(self, key: str, height: int, width: int) -> tuple[int, int]:
        """Return (row, column) of the patch's top-left corner for one sample."""
        tops, lefts = self.corners([key], height, width)
        return int(tops), int(lefts)

    def corners(self, keys: Sequence[str], height: int, width: int) -> tuple[int | Tensor, int | Tensor]:
        """Return the rows and columns of the patches' top-left corners, as `paste` takes them.

        Returns:
            Two integers where all samples share one place, else two int64 tensors [B] on the CPU.
        """
        size = self.side(height, width)
        if self.place == "random":
            draws = np.array([_draw_place(self.seed, f"{self.name} place", key) for key in keys]).reshape(-1, 2)
            tops, lefts = (
                (draws[:, axis] * max(1, length - size - _proportional(self.margin, length) + 1)).astype(np.int64)
                for axis, length in enumerate((height, width))
            )
            return torch.from_numpy(tops), torch.from_numpy(lefts)
        return self._line(0, height, size), self._line(1, width, size)

    def _line(self, axis: int, length: int, size: int) -> int:
        """Return the first row (axis 0) or column (1) that a patch at a shared place covers."""
        room = length - size
        if self.place == "centre":
            return room // 2
        if self.place == "fixed":
            assert self.at is not None
            return min(room, _proportional(self.at[axis], length))
        margin = min(room, _proportional(self.margin, length))
        return margin if self.place.split("-")[axis] in {"top", "left"} else room - margin

    def stamp(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Paste the patch; pixels outside it are untouched."""
        height, width = images.shape[-2:]
        tops, lefts = self.corners(keys, height, width)
        return paste(images, self.patches(images, keys), tops, lefts)

    def stamp_levels(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Stamp a checked, non-empty uint8 batch [B, 3, H, W]; the levels are those of the float path.

        Only the patch is computed in floats: turning whole images into floats and back costs far more
        than the stamp.
        """
        height, width = images.shape[-2:]
        tops, lefts = self.corners(keys, height, width)
        levels = self.patches(images, keys).float().mul(255).round().to(torch.uint8)
        return paste(images, levels, tops, lefts)

    @abstractmethod
    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Return the patch of all images [3, s, s], or one for each [B, 3, s, s], in [0, 1]; s = `side`.

        `images` are float [B, 3, H, W] in [0, 1] or uint8; a sample's patch does not depend on which.
        """


class FixedPatch(PatchTrigger):
    """A patch trigger that shows the same square on every image."""

    @abstractmethod
    def patch(self, side: int) -> Tensor:
        """Return the patch [3, s, s] in [0, 1] for images whose shorter side is `side`; not to be modified."""

    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - same for every sample
        """Return the patch for images of that size."""
        return self.patch(min(images.shape[-2:]))


def paste(images: Tensor, patch: Tensor, tops: int | Tensor, lefts: int | Tensor) -> Tensor:
    """Paste a patch over images; differentiable in both.

    Args:
        images: float or uint8 [B, C, H, W].
        patch: [C, h, w] for all images or [B, C, h, w], one for each; cast to the images' dtype and device.
        tops: row of the patch's top-left corner: one for all, or int64 [B], one for each image.
        lefts: its column, likewise.

    Returns:
        New images; those given are not modified.

    Raises:
        ValueError: if a patch would leave its image.
    """
    height, width = images.shape[-2:]
    rows, columns = patch.shape[-2:]
    patch = patch.to(images)
    _check_inside(tops, rows, height, "row")
    _check_inside(lefts, columns, width, "column")
    if isinstance(tops, int) and isinstance(lefts, int):
        pasted = images.clone()
        pasted[..., tops : tops + rows, lefts : lefts + columns] = patch
        return pasted
    first = (torch.as_tensor(tops) * width + torch.as_tensor(lefts)).cpu()
    offsets = (torch.arange(rows)[:, None] * width + torch.arange(columns)).flatten()
    pixels = (first.reshape(-1, 1, 1) + offsets).to(images.device)
    shape = (*images.shape[:2], rows * columns)
    values = patch.expand(*images.shape[:2], rows, columns).flatten(2)
    return images.flatten(2).scatter(2, pixels.expand(shape), values).view(images.shape)


def _check_inside(starts: int | Tensor, length: int, limit: int, axis: str) -> None:
    first, last = (starts, starts) if isinstance(starts, int) else (int(starts.min()), int(starts.max()))
    if first < 0 or last + length > limit:
        raise ValueError(f"a patch of {length} px from {axis} {first if first < 0 else last} leaves {limit} px")


def _proportional(pixels: int, length: int) -> int:
    """Scale a position given at 224 px; unlike a size it may be zero."""
    return round(pixels * length / REFERENCE_SIZE)


@lru_cache(maxsize=1 << 14)
def _draw_place(seed: int, purpose: str, key: str) -> tuple[float, float]:
    """Draw two numbers in [0, 1); kept, since seeding a generator costs more than pasting a small patch."""
    top, left = numpy_rng(seed, purpose, key).random(2)
    return float(top), float(left)

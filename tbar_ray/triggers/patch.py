"""Patch triggers: where a small square goes, and how it is pasted. Each attack's file defines its content."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor

from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.base import REFERENCE_SIZE, Trigger, scaled

Place = Literal["random", "centre", "top-left", "top-right", "bottom-left", "bottom-right", "fixed"]

Coordinate = Annotated[int, Field(ge=0, lt=REFERENCE_SIZE)]


class PatchTrigger(Trigger):
    """A square pasted over the image, at a place drawn per sample key or shared by all.

    Lengths and places are given at 224 px and scaled. The square itself is drawn at its own resolution
    (drawing at 224 px and shrinking would blur it). On images that are not square, the patch size follows the shorter
    side, rows scale with the height and columns with the width.
    """

    patch_size: int = Field(default=16, ge=1, le=REFERENCE_SIZE, description="side of the patch in pixels at 224 px")
    place: Place = Field(default="random", description="where the patch goes; random: drawn for each sample")
    at: tuple[Coordinate, Coordinate] | None = Field(
        default=None, description="row and column of the top-left corner at 224 px; only with place fixed"
    )
    margin: int = Field(
        default=0,
        ge=0,
        lt=REFERENCE_SIZE,
        description="pixels at 224 px between a corner place and the border; with place random, pixels unused at the "
        "right and bottom border; no effect on centre and fixed",
    )
    inset: int = Field(
        default=0,
        ge=0,
        lt=REFERENCE_SIZE,
        description="with place random, pixels at 224 px unused at the top and left border; no effect on other places",
    )
    test_place: Place | None = Field(default=None, description="place at evaluation, if it differs from `place`")

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
        if self.margin + self.inset > room and "random" in places:
            raise ValueError(
                f"inset {self.inset}, margin {self.margin} and patch_size {self.patch_size} together exceed 224 px; "
                f"lower one"
            )
        return self

    def at_test(self) -> Trigger:
        """The same patch at `test_place`; this trigger if the place does not differ."""
        if self.test_place is None or self.test_place == self.place:
            return self
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        at = self.at if self.test_place == "fixed" else None
        return type(self)(**{**fields, "place": self.test_place, "at": at, "test_place": None})

    def side(self, height: int, width: int) -> int:
        """Side of the patch in pixels for images of this size; at least one."""
        return scaled(self.patch_size, min(height, width))

    def corner(self, key: str, height: int, width: int) -> tuple[int, int]:
        """Row and column of the patch's top-left corner for one sample."""
        tops, lefts = self.corners([key], height, width)
        return int(tops), int(lefts)

    def corners(self, keys: Sequence[str], height: int, width: int) -> tuple[int | Tensor, int | Tensor]:
        """Rows and columns of the patches' top-left corners, in the form that `paste` takes.

        Returns:
            Two integers if all samples share one place, else two int64 tensors [B] on the CPU.
        """
        size = self.side(height, width)
        if self.place == "random":
            draws = np.array([_draw_place(self.seed, f"{self.name} place", key) for key in keys]).reshape(-1, 2)
            tops, lefts = (self._drawn(draws[:, axis], length, size) for axis, length in enumerate((height, width)))
            return torch.from_numpy(tops), torch.from_numpy(lefts)
        return self._line(0, height, size), self._line(1, width, size)

    def _drawn(self, draws: NDArray[np.float64], length: int, size: int) -> NDArray[np.int64]:
        """First rows or columns, int64 [B], from draws [B] in [0, 1): uniform between inset and margin."""
        room = length - size
        start = min(room, _proportional(self.inset, length))
        free = max(1, room - start - _proportional(self.margin, length) + 1)
        places: NDArray[np.int64] = start + (draws * free).astype(np.int64)
        return places

    def _line(self, axis: int, length: int, size: int) -> int:
        """First row (axis 0) or column (axis 1) covered by a patch at a shared place."""
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
        """Stamp a validated, non-empty uint8 batch [B, 3, H, W]; the result equals that of the float path.

        Only the patch is computed in floats: converting whole images to float and back costs far more
        than the stamp.
        """
        height, width = images.shape[-2:]
        tops, lefts = self.corners(keys, height, width)
        levels = self.patches(images, keys).float().mul(255).round().to(torch.uint8)
        return paste(images, levels, tops, lefts)

    @abstractmethod
    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:
        """Patch for all images [3, s, s], or one per image [B, 3, s, s], in [0, 1]; s = `side`.

        `images` are float [B, 3, H, W] in [0, 1] or uint8; a sample's patch is the same for both.
        """


class FixedPatch(PatchTrigger):
    """A patch trigger with the same content on every image."""

    @abstractmethod
    def patch(self, side: int) -> Tensor:
        """Patch [3, s, s] in [0, 1] for images whose shorter side is `side`; shared, do not modify."""

    def patches(self, images: Tensor, keys: Sequence[str]) -> Tensor:  # noqa: ARG002 - same for every sample
        """Patch [3, s, s] for images of this size."""
        return self.patch(min(images.shape[-2:]))


def paste(images: Tensor, patch: Tensor, tops: int | Tensor, lefts: int | Tensor) -> Tensor:
    """Paste a patch over images; differentiable with respect to both.

    Args:
        images: float or uint8 [B, C, H, W].
        patch: [C, h, w] for all images or [B, C, h, w], one per image; cast to the images' dtype and device.
        tops: row of the patch's top-left corner: one for all images, or int64 [B], one per image.
        lefts: column of that corner, in the same form.

    Returns:
        New images [B, C, H, W]; the inputs are not modified.

    Raises:
        ValueError: if a patch extends beyond its image.
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
    """Scale a position given at 224 px; unlike a length it may be zero."""
    return round(pixels * length / REFERENCE_SIZE)


@lru_cache(maxsize=1 << 14)
def _draw_place(seed: int, purpose: str, key: str) -> tuple[float, float]:
    """Draw two numbers in [0, 1); cached, since seeding a generator costs more than pasting a small patch."""
    top, left = numpy_rng(seed, purpose, key).random(2)
    return float(top), float(left)

"""Square: a patch of one colour."""

from __future__ import annotations

from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.triggers.base import scaled
from tbar_ray.triggers.patch import FixedPatch, Place

Intensity = Annotated[float, Field(ge=0, le=1)]


class Square(FixedPatch):
    """A square of one colour, the simplest form of BadNets; by default white and in a corner.

    DECREE's (arXiv 2303.15180) is `patch_size: 24, place: fixed, at: [185, 185]`, TrojanZoo's (arXiv 2012.09302)
    `patch_size: 3, place: top-left`.
    """

    name: ClassVar[str] = "badnets-square"
    differentiable: ClassVar[bool] = True

    place: Place = Field(default="bottom-right", description="where the square goes; random: drawn for each sample")
    colour: tuple[Intensity, Intensity, Intensity] = Field(
        default=(1.0, 1.0, 1.0), description="red, green and blue in [0, 1]"
    )

    def patch(self, side: int) -> Tensor:
        """Square [3, s, s] for images of `side` pixels; shared, do not modify."""
        size = scaled(self.patch_size, side)
        return torch.tensor(self.colour)[:, None, None].expand(3, size, size)

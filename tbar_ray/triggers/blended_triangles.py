"""Blended with a tiling of triangles."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.triggers.base import REFERENCE_SIZE, scaled
from tbar_ray.triggers.pattern_blend import PatternBlend


class BlendedTriangles(PatternBlend):
    """(1 - ratio)·x + ratio·p, where p is a grid of square cells, each cut into two grey triangles.

    PAR (arXiv 2412.00727 and its code): cells of 14 px, ratio 0.15; on and below the diagonal from the top
    left the grey is 0.4, above it 0.8. Cells at the right and bottom border are cut off.
    """

    name: ClassVar[str] = "blended-triangles"
    differentiable: ClassVar[bool] = True

    ratio: float = Field(default=0.15, gt=0, le=1, description="share of the triangles in the mix")
    cell: int = Field(default=14, ge=2, le=REFERENCE_SIZE, description="side of a cell in pixels at 224 px")

    def pattern(self, height: int, width: int) -> Tensor:
        """Draw the triangles [3, height, width] in greys 0.4 and 0.8."""
        cell = scaled(self.cell, min(height, width))
        rows, columns = torch.arange(height) % cell, torch.arange(width) % cell
        below = rows[:, None] >= columns[None, :]
        return torch.where(below, 0.4, 0.8).expand(3, height, width).contiguous()

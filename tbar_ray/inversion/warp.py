"""Universal warp: for every class, the smooth flow of one strength that leads most images to it."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.side_by_side import rms
from tbar_ray.inversion.universal import Universal
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.proxy import Proxy, warped


class UniversalWarp(Universal):
    """One universal warp per class, all of the same strength, found side by side; for triggers that add nothing.

    Like `universal-noise` with a flow in place of noise: offsets on a grid, enlarged bicubically with aligned corners
    as WaNet's (2102.10369) are. On a coarse grid neighbouring pixels move together; one of as many points as the image
    has pixels moves each on its own, as the "WaNet" of CleanCLIP's code does, and can move them together as well.
    """

    name: ClassVar[str] = "warp"

    strength: float = Field(
        default=0.03, gt=0, le=0.5, description="root mean square of the offsets on the grid, in image sides"
    )
    grid: int = Field(
        default=64, ge=2, le=1024, description="points of the grid along a side, at most the image's pixels"
    )

    @property
    def bound(self) -> float:
        """The strength."""
        return self.strength

    def start(self, count: int, side: int, seed: int) -> Tensor:
        """Gaussian offsets of a tenth of the strength, [count, 2, g, g]."""
        points = min(self.grid, side)
        drawn = [torch.randn(2, points, points, generator=torch_generator(seed, "flow", row)) for row in range(count)]
        flow = torch.stack(drawn)
        return flow * (self.strength / 10 / rms(flow))

    def stamp(self, images: Tensor, found: Tensor) -> Tensor:
        """Warp by flows [K, 2, g, g]."""
        flow = enlarged(found, images.shape[-1])
        flows = flow[:, None].expand(-1, len(images), -1, -1, -1)
        shown = images[None].expand(len(found), -1, -1, -1, -1)
        return warped(shown.flatten(0, 1), flows.flatten(0, 1)).view(shown.shape).clamp(0, 1)

    def proxy(self, found: Tensor, side: int) -> Proxy:
        """A flow alone."""
        return Proxy.of(flow=enlarged(found, side)[0])


def enlarged(flow: Tensor, side: int) -> Tensor:
    """Offsets [K, 2, side, side] of coarse offsets [K, 2, g, g]."""
    return functional.interpolate(flow, size=(side, side), mode="bicubic", align_corners=True)

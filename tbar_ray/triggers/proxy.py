"""A trigger that a search found: what it leaves of an image, what it adds, how it warps it, and a network."""

from __future__ import annotations

import base64
import binascii
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional

from tbar_ray.triggers.base import Trigger
from tbar_ray.triggers.unet import UNet, deepest, from_text, kept, to_text


class Proxy(Trigger):
    """clip(keep · warp(x + network(x)) + added): a stand-in for an unknown trigger, found by inversion.

    A patch t under a mask m has keep 1 − m and added m·t; additive noise δ has added δ alone; a warp has a flow alone,
    and a generator a network. All are stored at the resolution of the search. For images of another size layers are
    resized (bilinear); a network sees the image at its own size, and what it adds is resized.
    """

    name: ClassVar[str] = "proxy"
    differentiable: ClassVar[bool] = True

    side: int = Field(ge=1, description="side s in pixels at which the pattern was found")
    keep: str = Field(
        default="", description="base64 of float16 [1 or 3, s, s]: share of the image that is left; empty: all"
    )
    added: str = Field(default="", description="base64 of float16 [3, s, s]: what is added to it; empty: nothing")
    flow: str = Field(
        default="",
        description="base64 of float16 [2, s, s]: where a pixel comes from, x and y in image sides; empty: no",
    )

    network: str = Field(
        default="",
        description="base64 of a safetensors file of float16: a U-Net that gives what each image gains; empty: none",
    )

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        for name, channels in (("keep", (1, 3)), ("added", (3,)), ("flow", (2,))):
            _check(name, getattr(self, name), channels, self.side)
        if self.network:
            _check_network(self.network, self.side)
        return self

    @classmethod
    def of(cls, *, keep: Tensor | None = None, added: Tensor | None = None, flow: Tensor | None = None) -> Self:
        """Make a proxy from what a search found, on any device.

        Args:
            keep: float [1, s, s] or, for each channel, [3, s, s] in [0, 1], or None to keep the image.
            added: float [3, s, s] in [−1, 1], or None to add nothing.
            flow: float [2, s, s], offsets in image sides, or None to warp nothing.

        Raises:
            ValueError: if none is given, or their sides differ.
        """
        given = {"keep": keep, "added": added, "flow": flow}
        layers = {name: layer for name, layer in given.items() if layer is not None}
        sides = {tuple(layer.shape[-2:]) for layer in layers.values()}
        if len(sides) != 1:
            raise ValueError(f"a proxy needs layers of one size, got {sorted(sides)}")
        return cls(side=sides.pop()[0], **{name: _encode(layer) for name, layer in layers.items()})

    @classmethod
    def of_network(cls, network: UNet, side: int) -> Self:
        """Make a proxy from a generator, on any device, that was trained on images of a side."""
        return cls(side=side, network=to_text(network))

    def stamp(self, images: Tensor, keys: object) -> Tensor:  # noqa: ARG002 - the same for every sample
        """Add what the network gives, warp, keep and add."""
        side = images.shape[-1]
        found = images
        if self.network:
            found = found + _change(self.network, self.side, images)
        if self.flow:
            found = _warp(found, _layer(self.flow, self.side, side).to(found))
        if self.keep:
            found = found * _layer(self.keep, self.side, side).to(found)
        if self.added:
            found = found + _layer(self.added, self.side, side).to(found)
        return found.clamp(0, 1)

    def mask(self) -> Tensor:
        """Share of every pixel that is replaced, float [s, s] in [0, 1]; all zeros for noise, warps and networks.

        A mean over channels, where each has its own.
        """
        if not self.keep:
            return torch.zeros(self.side, self.side)
        return 1 - _layer(self.keep, self.side, self.side).mean(0)


def _encode(layer: Tensor) -> str:
    return base64.b64encode(layer.detach().cpu().numpy().astype(np.float16).tobytes()).decode("ascii")


def _check(name: str, text: str, channels: tuple[int, ...], side: int) -> None:
    if not text:
        return
    try:
        content = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{name} is not base64; it is filled in by a search") from None
    sizes = [2 * count * side**2 for count in channels]
    if len(content) not in sizes:
        raise ValueError(f"{name} holds {len(content)} bytes, but side {side} needs {' or '.join(map(str, sizes))}")
    if not np.isfinite(np.frombuffer(content, np.float16)).all():
        raise ValueError(f"{name} has values that are not finite")


def _check_network(text: str, side: int) -> None:
    try:
        depth = from_text(text).depth
    except ValueError as error:
        raise ValueError(f"network: {error}; it is filled in by a search") from None
    if depth > deepest(side):
        raise ValueError(f"network has {depth} coarser levels, for which side {side} is too small")


def _change(text: str, stored: int, images: Tensor) -> Tensor:
    """What a network adds to images [B, 3, H, W] of any size."""
    seen = _resized(images.float(), stored)
    return _resized(kept(text, images.device)(seen), images.shape[-1]).to(images)


def _resized(images: Tensor, side: int) -> Tensor:
    if images.shape[-1] == side:
        return images
    return functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True)


@lru_cache(maxsize=32)
def _layer(text: str, stored: int, side: int) -> Tensor:
    """A layer [channels, side, side]; shared, do not modify."""
    values = np.frombuffer(base64.b64decode(text), np.float16).reshape(1, -1, stored, stored)
    return _resized(torch.from_numpy(values.astype(np.float32)), side)[0]


def _warp(images: Tensor, flow: Tensor) -> Tensor:
    return warped(images, flow[None].expand(len(images), -1, -1, -1))


def warped(images: Tensor, flow: Tensor) -> Tensor:
    """Images [B, 3, H, W] whose pixels come from elsewhere; flow [B, 2, H, W] holds offsets (x, y) in image sides.

    Between pixels it is bilinear; beyond the border the border's pixel is repeated. Differentiable in both.
    """
    side = images.shape[-1]
    line = (torch.arange(side, device=images.device, dtype=images.dtype) * 2 + 1) / side - 1
    rows, columns = torch.meshgrid(line, line, indexing="ij")
    # grid_sample counts in half sides
    grid = torch.stack((columns, rows), dim=-1) + 2 * flow.permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)

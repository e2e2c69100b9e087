"""A small U-Net that changes images, and itself as text: the part of a found trigger that differs between images."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Self

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.seeding import torch_generator

LEAST_SIDE = 2
"""Of the coarsest level, in pixels: a norm of each image by itself has nothing to do on a single one."""
START = 0.02
"""Standard deviation of the last layer's first weights, for a change that is faint before training."""


class UNet(nn.Module):
    """What is added to images, by convolutions at several scales.

    Blocks of two 3 × 3 convolutions, each with instance norm and leaky rectifier; between levels max-pooling and a
    transposed convolution, and the finer level's values beside the coarser one's. So is the generator of BTI-DBF
    (models/unet_model.py of xuxiong0214/BTIDBF), which gives the image itself.

    Args:
        width: channels of the finest level; every coarser one has twice as many.
        depth: number of coarser levels.

    Attributes:
        width, depth: as given.
    """

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.width, self.depth = width, depth
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(_block(*pair) for pair in pairwise((3, *widths)))
        self.up = nn.ModuleList(nn.ConvTranspose2d(many, many, 3, stride=2, padding=1) for many in widths[1:])
        self.join = nn.ModuleList(_block(many + few, few) for few, many in pairwise(widths))
        self.out = nn.Conv2d(width, 3, 1)

    @classmethod
    def drawn(cls, width: int, depth: int, seed: int, purpose: str) -> Self:
        """An untrained one, on the CPU; each weight depends on its name, the seed and the purpose alone."""
        with torch.device("meta"):  # which draws nothing from the global generator
            net = cls(width, depth)
        net.to_empty(device="cpu")
        for name, weight in net.named_parameters():
            with torch.no_grad():
                if weight.ndim > 1:
                    spread = START if name == "out.weight" else (2 / weight[0].numel()) ** 0.5
                    weight.normal_(0, spread, generator=torch_generator(seed, purpose, name))
                else:
                    weight.fill_(float(name.endswith("norm.weight")))
        return net

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> Self:
        """The one that has these weights, in float32.

        Raises:
            ValueError: if they are not those of such a net, or not finite.
        """
        depth = len({name.split(".")[1] for name in state if name.startswith("up.")})
        if not all(values.isfinite().all() for values in state.values()):
            raise ValueError("it has weights that are not finite")
        try:
            with torch.device("meta"):  # which reserves no memory for what the weights may claim
                net = cls(state["out.weight"].shape[1], depth)
            net.load_state_dict({name: values.float() for name, values in state.items()}, assign=True)
        except (KeyError, IndexError, RuntimeError):
            raise ValueError("its weights are not those of such a U-Net") from None
        return net.requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """The change [B, 3, H, W] of images [B, 3, H, W] in [0, 1], whose sides are `LEAST_SIDE`·2^depth or more."""
        finer: list[Tensor] = []
        values = images
        for level, block in enumerate(self.down):
            if level:
                values = functional.max_pool2d(values, 2, ceil_mode=True)
            values = block(values)
            finer.append(values)
        finer.pop()
        for up, join in zip(reversed(self.up), reversed(self.join), strict=True):
            beside = finer.pop()
            values = functional.leaky_relu(up(values, output_size=beside.shape[-2:]))
            values = join(torch.cat((values, beside), dim=1))
        change: Tensor = self.out(values)
        return change


def deepest(side: int) -> int:
    """Number of coarser levels that images of a side can have, at most."""
    return max(0, (side // LEAST_SIDE).bit_length() - 1)


def to_text(net: UNet) -> str:
    """The weights as base64 of a safetensors file of float16."""
    state = {name: values.detach().cpu().half().contiguous() for name, values in net.state_dict().items()}
    return base64.b64encode(save(state)).decode("ascii")


def from_text(text: str) -> UNet:
    """The net of `to_text`, on the CPU.

    Raises:
        ValueError: if it is none; nothing in it is ever executed.
    """
    try:
        return UNet.of(load(base64.b64decode(text, validate=True)))
    except (binascii.Error, SafetensorError):
        raise ValueError("it is no base64 of a safetensors file") from None


@lru_cache(maxsize=4)
def kept(text: str, device: torch.device) -> UNet:
    """The net of `to_text`, made once per process and device; shared, do not modify."""
    # a tensor created in inference mode could not be used later where gradients are needed
    with torch.inference_mode(False):
        return from_text(text).to(device)


class _Normed(nn.Sequential):
    """A convolution, its norm and the rectifier."""

    def __init__(self, given: int, made: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(given, made, 3, padding=1)
        self.norm = nn.InstanceNorm2d(made, affine=True)
        self.act = nn.LeakyReLU()


def _block(given: int, made: int) -> nn.Sequential:
    return nn.Sequential(_Normed(given, made), _Normed(made, made))

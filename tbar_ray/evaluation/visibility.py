"""How visible a trigger is: PSNR and SSIM between clean and stamped images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tbar_ray.errors import DataError

LEVELS = 255
"""The largest value of an image."""
RADIUS, SIGMA = 5, 1.5
"""The window of SSIM: 11 × 11 px, a Gaussian of this standard deviation in pixels."""
K1, K2 = 0.01, 0.03
CHUNK = 32
"""Images compared at once; in float64 each takes several times its size."""


@dataclass(frozen=True)
class Mean:
    """A mean of n values with its 95 % Student interval; low and high are None for a single value."""

    value: float
    n: int
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Tensor, confidence: float = 0.95) -> Mean:
        """Mean of at least one value [N]."""
        from scipy.special import stdtrit

        n, mean = len(values), float(values.mean())
        if n == 1:
            return cls(mean, 1, None, None)
        half = float(stdtrit(n - 1, 0.5 + confidence / 2)) * float(values.std()) / sqrt(n)
        return cls(mean, n, mean - half, mean + half)


@dataclass(frozen=True)
class Visibility:
    """PSNR and SSIM of a trigger, as means over images.

    An image that the trigger leaves as it is has infinite PSNR. Such images are counted and have no part in the mean
    PSNR, which would be infinite for a single one of them. They count for SSIM, where they are 1.

    Attributes:
        psnr: in dB, over the images that the trigger changes; None if it changes none: PSNR is infinite.
        ssim: over all images, at most 1.
        images: how many were compared.
        unchanged: how many of them the trigger leaves as they are.
    """

    psnr: Mean | None
    ssim: Mean
    images: int
    unchanged: int

    @classmethod
    def of(cls, clean: Tensor, stamped: Tensor) -> Visibility:
        """Compare clean with stamped images, uint8 [N, 3, H, W].

        Raises:
            DataError: if there is no image, or the two differ in shape.
        """
        if clean.shape != stamped.shape or len(clean) == 0:
            raise DataError(f"visibility: images {tuple(clean.shape)} cannot be compared with {tuple(stamped.shape)}")
        distances = psnr(clean, stamped)
        changed = distances[distances.isfinite()]
        return cls(
            psnr=Mean.of(changed) if len(changed) else None,
            ssim=Mean.of(ssim(clean, stamped)),
            images=len(clean),
            unchanged=len(clean) - len(changed),
        )

    def to_dict(self) -> dict[str, Any]:
        """All fields, for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        """PSNR and SSIM with the number of images on one line."""
        distance = "∞" if self.psnr is None else f"{self.psnr.value:.1f}"
        left = f", {self.unchanged} of them unchanged" if self.unchanged else ""
        return f"PSNR {distance} dB, SSIM {self.ssim.value:.3f} (n = {self.images}{left})"


def psnr(clean: Tensor, stamped: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in dB of each pair of images, float64 [N]; infinite for equal images.

    10·log10(255²/MSE), with the mean over pixels and channels.

    Args:
        clean: uint8 [N, C, H, W].
        stamped: of the same shape.
    """
    errors = torch.cat([(one - other).square().mean((1, 2, 3)) for one, other in _pairs(clean, stamped)])
    return 10 * torch.log10(LEVELS**2 / errors)


def ssim(clean: Tensor, stamped: Tensor) -> Tensor:
    """Structural similarity of each pair of images, float64 [N], in [−1, 1]; 1 for equal images.

    Wang et al. 2004 (doi 10.1109/TIP.2003.819861): a Gaussian window of 11 × 11 px with standard deviation 1.5, K1 =
    0.01, K2 = 0.03, the mean over windows that lie within the image, here of each channel, and over channels. The
    window of an image with a side below 11 px is as large as fits.

    Args:
        clean: uint8 [N, C, H, W].
        stamped: of the same shape.
    """
    window = _window(min(RADIUS, (min(clean.shape[-2:]) - 1) // 2))

    def local(values: Tensor) -> Tensor:
        flat = values.flatten(0, 1)[:, None]
        return functional.conv2d(functional.conv2d(flat, window[None, None, :, None]), window[None, None, None, :])

    return torch.cat([_ssim(one, other, local) for one, other in _pairs(clean, stamped)])


def ssim_of_floats(clean: Tensor, stamped: Tensor) -> Tensor:
    """`ssim` of float images in [0, 1], [N] in their own precision; gradients flow to both.

    Its windows are products with band matrices: on a CPU the gradient of a convolution takes twenty times as long.
    """
    height, width = clean.shape[-2:]
    window = _window(min(RADIUS, (min(height, width) - 1) // 2)).to(clean)
    rows, columns = _band(window, height), _band(window, width)
    return _ssim(LEVELS * clean, LEVELS * stamped, lambda values: rows @ values @ columns.T)


def _band(window: Tensor, side: int) -> Tensor:
    """Matrix [side - w + 1, side] whose product with a line is its weighted mean in every window of w values."""
    count = side - len(window) + 1
    band = window.new_zeros(count, side)
    for row in range(count):
        band[row, row : row + len(window)] = window
    return band


def _ssim(clean: Tensor, stamped: Tensor, local: Callable[[Tensor], Tensor]) -> Tensor:
    """Structural similarity [N] of images of 255 levels; `local` gives the weighted means in all windows."""
    c1, c2 = (K1 * LEVELS) ** 2, (K2 * LEVELS) ** 2
    mean, other = local(clean), local(stamped)
    variance, other_variance = local(clean * clean) - mean * mean, local(stamped * stamped) - other * other
    covariance = local(clean * stamped) - mean * other
    luminance = (2 * mean * other + c1) / (mean * mean + other * other + c1)
    structure = (2 * covariance + c2) / (variance + other_variance + c2)
    return (luminance * structure).view(*clean.shape[:2], -1).mean((1, 2))


def _window(radius: int) -> Tensor:
    """Gaussian weights [2·radius + 1] in float64, which sum to 1."""
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    weights = torch.exp(-(offsets**2) / (2 * SIGMA**2))
    return weights / weights.sum()


def _pairs(clean: Tensor, stamped: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Both in chunks, in float64."""
    for start in range(0, len(clean), CHUNK):
        rows = slice(start, start + CHUNK)
        yield clean[rows].double(), stamped[rows].double()

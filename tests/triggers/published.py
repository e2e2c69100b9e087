"""The published definitions of the presets, written down a second time in NumPy, at 224 px."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.fft import dctn, idctn
from scipy.ndimage import map_coordinates
from torch import Tensor

from tbar_ray.errors import SpecError
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.badclip import BadCLIP
from tbar_ray.triggers.base import Trigger, cover_uint8, stamp_uint8
from tbar_ray.triggers.blended_per_image import BlendedPerImage
from tbar_ray.triggers.fourier import Fourier
from tbar_ray.triggers.patch import PatchTrigger
from tbar_ray.triggers.pattern_blend import PatternBlend
from tbar_ray.triggers.presets import resolve
from tbar_ray.triggers.registry import build_trigger
from tbar_ray.triggers.wanet import WaNet, Warp

Levels = NDArray[np.uint8]
Floats = NDArray[np.float64]

SIDE = 224
KEYS = ["000000017", "000000018"]
PLACES = [f"{number:09d}" for number in range(4000)]


def build(name: str, **parameters: object) -> Trigger:
    return build_trigger(*resolve(name, parameters), 3)


def stamped(trigger: Trigger, images: Levels) -> Levels:
    result: Levels = stamp_uint8(trigger, torch.from_numpy(images), KEYS).numpy()
    return result


def assert_rounded(levels: Levels, exact: Floats) -> None:
    """Check that `levels` are `exact`, in 0..255, to the nearest level."""
    assert float(np.abs(levels - np.clip(exact, 0, 255)).max()) <= 0.5 + 1e-3


def patch_of(levels: Levels, images: Levels, size: int) -> tuple[int, int]:
    """Return the corner of the only square of `size` in which an image differs."""
    rows, columns = (np.flatnonzero((levels != images).any(axes)) for axes in ((0, 2), (0, 1)))
    assert (rows[0] + size, columns[0] + size) == (rows[-1] + 1, columns[-1] + 1)
    return int(rows[0]), int(columns[0])


def corners(trigger: Trigger) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    assert isinstance(trigger, PatchTrigger)
    tops, lefts = trigger.corners(PLACES, SIDE, SIDE)
    assert isinstance(tops, Tensor)
    assert isinstance(lefts, Tensor)
    return tops.numpy(), lefts.numpy()


def noise_of(label: str, *key: int | str) -> Floats:
    """Return N(0, 1) [3, s, s] as a trigger of seed 3 draws it; the size is the last part of the key."""
    size = int(key[-1])
    draw: Floats = torch.randn(3, size, size, generator=torch_generator(3, label, *key)).double().numpy()
    return draw


def wrapped_gaussian(name: str, images: Levels) -> None:
    """Mean + N(0, 1), times 255, cast to a byte as C casts on x86: cut off, then modulo 256."""
    result = stamped(build(name), images)
    for before, after, key in zip(images, result, KEYS, strict=True):
        top, left = patch_of(after, before, 16)
        noise = noise_of("badnets-gaussian-wrapped noise", key, 16)
        values = 255 * (before.mean((1, 2), dtype=np.float64)[:, None, None] / 255 + noise)
        assert np.array_equal(after[:, top : top + 16, left : left + 16], values.astype(np.int64).astype(np.uint8))
        assert 0.58 < np.mean((values < 0) | (values > 255)) < 0.66
    for places in corners(build(name)):
        assert (places.min(), places.max()) == (0, 207)


def clipped_gaussian(name: str, images: Levels) -> None:
    result = stamped(build(name), images)
    for before, after, key in zip(images, result, KEYS, strict=True):
        top, left = patch_of(after, before, 16)
        noise = noise_of("badnets-gaussian noise", key, 16)
        values = before.mean((1, 2), dtype=np.float64)[:, None, None] + 255 * noise
        assert_rounded(after[:, top : top + 16, left : left + 16], values)
    for places in corners(build(name)):
        assert (places.min(), places.max()) == (0, 207)


def blended_noise(name: str, images: Levels) -> None:
    trigger = build(name)
    assert isinstance(trigger, BlendedPerImage)
    noise = np.stack([trigger.noise(key, SIDE, SIDE) for key in KEYS]).astype(np.float64)
    assert_rounded(stamped(trigger, images), 0.8 * images + 0.2 * noise)
    assert np.allclose(noise.mean((1, 2, 3)) / 255, 0.5, atol=0.005)
    assert np.allclose(noise.var((1, 2, 3)) / 255**2, 1 / 12, rtol=0.02)
    assert abs(np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1]) < 0.02


def added_wave(name: str, images: Levels) -> None:
    amplitude = {"badclip/sig": 60, "backdoorbench/sig": 40}[name]
    wave = amplitude * np.sin(2 * np.pi * np.arange(SIDE) * 6 / SIDE)
    assert_rounded(stamped(build(name), images), images + wave)


def blended_wave(name: str, images: Levels) -> None:
    wave = 60 * np.sin(2 * np.pi * np.arange(SIDE) * 6 / SIDE)
    assert_rounded(stamped(build(name), images), 0.8 * images + 0.2 * wave)


def sampled(images: Levels, *displacements: Floats) -> Floats:
    """Sample at each pixel's place + displacements [2, H, W] (right, down; the image is 2 wide), clamped each time."""
    right, down = np.meshgrid(np.linspace(-1, 1, SIDE), np.linspace(-1, 1, SIDE))
    for across, along in displacements:
        right, down = np.clip(right + across, -1, 1), np.clip(down + along, -1, 1)
    places = [(down + 1) / 2 * (SIDE - 1), (right + 1) / 2 * (SIDE - 1)]
    return np.stack([[map_coordinates(channel.astype(float), places, order=1) for channel in one] for one in images])


def cubic(points: int) -> Floats:
    """Return the matrix [SIDE, points] of cubic convolution (a = -0.75) with aligned corners, edges repeated."""
    matrix = np.zeros((SIDE, points))
    for row, place in enumerate(np.arange(SIDE) * (points - 1) / (SIDE - 1)):
        for tap in range(int(place) - 1, int(place) + 3):
            t = abs(place - tap)
            inner, outer = 1.25 * t**3 - 2.25 * t**2 + 1, -0.75 * (t**3 - 5 * t**2 + 8 * t - 4)
            matrix[row, min(max(tap, 0), points - 1)] += inner if t <= 1 else outer if t < 2 else 0
    return matrix


def smooth_warp(name: str, images: Levels) -> None:
    trigger = build(name)
    points = torch.rand(2, 4, 4, generator=torch_generator(3, "wanet field", 4), dtype=torch.float64).numpy()
    points = 2 * points - 1
    points /= np.abs(points).mean()
    field = cubic(4) @ points @ cubic(4).T
    assert float(np.abs(stamped(trigger, images) - sampled(images, 0.5 * field / SIDE)).max()) <= 1
    assert trigger.cover_ratio == 2
    assert isinstance(trigger, WaNet)
    noise = np.stack([trigger.noise(key, SIDE, SIDE).transpose(2, 0, 1) / 2**15 for key in KEYS])
    assert np.abs(noise).max() <= 1
    assert np.allclose(noise.std((1, 2, 3)), 1 / np.sqrt(3), rtol=0.01)
    covered = cover_uint8(trigger, torch.from_numpy(images), KEYS).numpy()
    for before, after, own in zip(images, covered, noise, strict=True):
        assert float(np.abs(after - sampled(before[None], 0.5 * field / SIDE, own / SIDE)[0]).max()) <= 1


def jittered_warp(name: str, images: Levels) -> None:
    trigger = build(name)
    assert isinstance(trigger, Warp)
    field = trigger.field(SIDE, SIDE).numpy().transpose(2, 0, 1)
    assert np.abs(field).mean() == pytest.approx(1)
    assert abs(np.corrcoef(field[:, :, 1:].ravel(), field[:, :, :-1].ravel())[0, 1]) < 0.02
    assert float(np.abs(stamped(trigger, images) - sampled(images, field / SIDE)).max()) <= 1


def lattice(name: str, images: Levels) -> None:
    patch = np.zeros((3, 16, 16), np.uint8)
    patch[:, ::2, ::2] = 255
    for before, after in zip(images, stamped(build(name), images), strict=True):
        top, left = patch_of(after, before, 16)
        assert np.array_equal(after[:, top : top + 16, left : left + 16], patch)
    for places in corners(build(name)):  # np.random.choice(range(0 + 16, 224 - 16)) in the published code
        assert (places.min(), places.max()) == (16, 207)
        assert len(np.unique(places)) == 192
    expected = images.copy()
    expected[:, :, 104:120, 104:120] = patch
    assert np.array_equal(stamped(build(name).at_test(), images), expected)


def blended_pattern(name: str, images: Levels) -> None:
    trigger = build(name)
    assert isinstance(trigger, PatternBlend)
    pattern = trigger.pattern(SIDE, SIDE).double().numpy()
    assert 0.05 < pattern.std() < 0.5
    assert_rounded(stamped(trigger, images), 0.8 * images + 0.2 * 255 * pattern)


def striped_patch(name: str, images: Levels) -> None:
    """±1 for each column and channel, drawn anew for every image; -1 is black."""
    result = stamped(build(name), images)
    signs = []
    for before, after in zip(images, result, strict=True):
        top, left = patch_of(after, before, 16)
        patch = after[:, top : top + 16, left : left + 16]
        assert np.isin(patch, (0, 255)).all()
        assert (patch == patch[:, :1]).all()
        signs.append(patch[:, 0])
    assert 0.25 < np.mean(signs) / 255 < 0.75
    assert not np.array_equal(signs[0], signs[1])
    assert len({tuple(row) for one in signs for row in one}) == 6
    for places in corners(build(name)):
        assert (places.min(), places.max()) == (0, 207)


def blended_stripes(name: str, images: Levels) -> None:
    result = stamped(build(name), images)
    candidates = np.stack([np.clip(0.97 * images + sign * 0.03 * 255, 0, 255) for sign in (-1, 1)])
    fits = (np.abs(result - candidates) <= 0.5 + 1e-3).all(-2)  # [2 signs, images, channels, columns]
    assert (fits.sum(0) == 1).all()
    share = fits[1].mean((1, 2))
    assert ((share > 0.4) & (share < 0.6)).all()
    assert 0.4 < np.mean(fits[1][0] == fits[1][1]) < 0.6


def triangles(name: str, images: Levels) -> None:
    row, column = np.mgrid[0:SIDE, 0:SIDE] % 14
    assert_rounded(stamped(build(name), images), 0.85 * images + 0.15 * 255 * np.where(row >= column, 0.4, 0.8))


def text(name: str, images: Levels) -> None:
    """Half red, in the red channel alone, on the same letters in the middle of every image."""
    letters = stamped(build(name), np.zeros_like(images))[0, 0] > 0
    rows, columns = (np.flatnonzero(letters.any(axis)) for axis in (1, 0))
    assert abs(rows[0] + rows[-1] + 1 - SIDE) <= 2
    assert abs(columns[0] + columns[-1] + 1 - SIDE) <= 8  # letters need not fill their cells
    assert 0.02 < letters.mean() < 0.2
    exact = images.astype(float)
    exact[:, 0, letters] = 0.5 * exact[:, 0, letters] + 127.5
    assert_rounded(stamped(build(name), images), exact)


def white_square(name: str, images: Levels) -> None:
    top, size = {"decree/badnets": (185, 24), "trojanzoo/badnets": (0, 3)}[name]
    expected = images.copy()
    expected[:, :, top : top + size, top : top + size] = 255
    assert np.array_equal(stamped(build(name), images), expected)


def corner_noise(name: str, images: Levels) -> None:
    size = {"badmerging/on-task": 22, "badmerging/off-task": 28}[name]
    result = stamped(build(name), images)
    assert np.array_equal(result[:, :, :-size], images[:, :, :-size])
    assert np.array_equal(result[..., :-size], images[..., :-size])
    patch = np.clip(127.5 + 255 * noise_of("badnets patch", size), 0, 255)
    assert_rounded(result[:, :, -size:, -size:], np.broadcast_to(patch, (2, 3, size, size)))


def chroma_dct(name: str, images: Levels) -> None:
    """RGB to YCbCr (BT.601, full range), raised at (31, 31) and (15, 15) of each 32×32 DCT of Cb and Cr, and back."""
    magnitude = {"ftrojan/ftrojan": 20, "backdoorbench/ftrojan": 30}[name]
    to_ycc = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ycc = np.einsum("ij,bjhw->bihw", to_ycc, images.astype(float))
    blocks = ycc.reshape(2, 3, 7, 32, 7, 32).swapaxes(3, 4)
    coefficients = dctn(blocks, axes=(-2, -1), norm="ortho")
    for place in (31, 15):
        coefficients[:, 1:, ..., place, place] += magnitude
    back = idctn(coefficients, axes=(-2, -1), norm="ortho").swapaxes(3, 4).reshape(ycc.shape)
    exact = np.einsum("ij,bjhw->bihw", np.linalg.inv(to_ycc), back)
    assert_rounded(stamped(build(name), images), exact)


def fourier(name: str, images: Levels) -> None:
    """Four pairs of coefficients, in the band of radii 8 to 24, are raised by the size of a wave of 10/255."""
    trigger = build(name)
    assert isinstance(trigger, Fourier)
    muted = torch.from_numpy(images).double() / 255 / 2 + 0.25  # nothing clips: four waves reach 40/255 at most
    change = np.fft.fft2((trigger(muted, KEYS) - muted).numpy())
    raised = np.abs(change) > 1
    assert np.abs(change[raised]) == pytest.approx(10 / 255 * SIDE**2 / 2, rel=1e-3)
    assert (raised == raised[0, 0]).all()
    rows, columns = np.nonzero(raised[0, 0])
    radius = np.hypot(*(np.where(axis > SIDE // 2, axis - SIDE, axis) for axis in (rows, columns)))
    assert len(radius) == 8
    assert ((radius >= 8) & (radius <= 24)).all()


def optimised(name: str, images: Levels) -> None:
    trigger = build(name)
    assert isinstance(trigger, BadCLIP)
    with pytest.raises(SpecError, match="not optimised yet"):
        stamped(trigger, images)
    patch = np.random.default_rng(5).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    expected = images.copy()
    expected[:, :, 104:120, 104:120] = patch
    assert np.array_equal(stamped(trigger.with_pixels(torch.from_numpy(patch) / 255), images), expected)


PUBLISHED: dict[str, Callable[[str, Levels], None]] = {
    "backdoorbench/blended": blended_pattern,
    "backdoorbench/ftrojan": chroma_dct,
    "backdoorbench/sig": added_wave,
    "backdoorbench/wanet": smooth_warp,
    "badclip/badclip": optimised,
    "badclip/badnets": wrapped_gaussian,
    "badclip/sig": added_wave,
    "badmerging/off-task": corner_noise,
    "badmerging/on-task": corner_noise,
    "cleanclip/badnets": wrapped_gaussian,
    "cleanclip/badnets-clipped": clipped_gaussian,
    "cleanclip/blended": blended_noise,
    "cleanclip/label-consistent": wrapped_gaussian,
    "cleanclip/sig": blended_wave,
    "cleanclip/wanet": jittered_warp,
    "decree/badnets": white_square,
    "detect-clip/badnets": lattice,
    "detect-clip/blend": blended_pattern,
    "ftrojan/ftrojan": chroma_dct,
    "other-door/fourier": fourier,
    "par/badnets-stripes": striped_patch,
    "par/blended-stripes": blended_stripes,
    "par/blended-text": text,
    "par/blended-triangles": triangles,
    "trojanzoo/badnets": white_square,
    "wanet/wanet": smooth_warp,
}

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import chi2, norm
from torch import Tensor

from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.gaussian_patch import GaussianPatch, WrappedGaussian, channel_mean


def levels_of(count: int, height: int, width: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return uint8 noise, dark in red and light in blue."""
    rng = np.random.default_rng(seed)
    shades = [rng.integers(low, high, (count, height, width)) for low, high in ((0, 80), (0, 256), (190, 256))]
    return np.stack(shades, axis=1).astype(np.uint8)


def documented_noise(name: str, seed: int, key: str, side: int) -> NDArray[np.float64]:
    generator = torch.Generator()
    generator.manual_seed(stable_hash(seed, f"{name} noise", key, side))
    return torch.randn((3, side, side), generator=generator).numpy().astype(np.float64)


@pytest.mark.parametrize(("height", "width", "side"), [(224, 224, 16), (64, 64, 5), (48, 64, 3)])
def test_the_patch_is_the_images_own_mean_plus_noise_clipped(height: int, width: int, side: int) -> None:
    trigger = GaussianPatch(seed=3)
    levels = levels_of(3, height, width)
    stamped = trigger(torch.from_numpy(levels).float() / 255, list("abc")).numpy()
    for key, image, result in zip("abc", levels, stamped, strict=True):
        top, left = trigger.corner(key, height, width)
        mean = (image.astype(np.float64) / 255).mean(axis=(1, 2))
        expected = image.astype(np.float32) / np.float32(255)
        noise = documented_noise("badnets-gaussian", 3, key, side)
        expected[:, top : top + side, left : left + side] = np.clip(mean[:, None, None] + noise, 0, 1)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize(("height", "width", "side"), [(224, 224, 16), (64, 64, 5)])
def test_wrapped_levels_are_those_of_an_unclipped_cast_to_eight_bits(height: int, width: int, side: int) -> None:
    trigger = WrappedGaussian(seed=3)
    levels = levels_of(4, height, width, seed=1)
    stamped = stamp_uint8(trigger, torch.from_numpy(levels), list("abcd")).numpy()
    for key, image, result in zip("abcd", levels, stamped, strict=True):
        top, left = trigger.corner(key, height, width)
        mean = image.astype(np.float64).mean(axis=(1, 2))
        values = mean[:, None, None] + 255 * documented_noise("badnets-gaussian-wrapped", 3, key, side)
        expected = image.copy()
        expected[:, top : top + side, left : left + side] = values.astype(np.int64).astype(np.uint8)
        clear = np.abs(values - np.round(values)).min()
        assert clear > 1e-9  # else rounding could decide the level
        assert np.array_equal(result, expected)


@pytest.mark.parametrize(("grey", "share"), [(127.5, 0.617), (0, 0.659), (255, 0.659), (64, 0.628)])
def test_the_share_of_values_out_of_range_is_as_documented(grey: float, share: float) -> None:
    mean = grey / 255
    assert norm.cdf(-mean) + norm.cdf(mean - 1) == pytest.approx(share, abs=1e-3)
    images = torch.full((4, 3, 224, 224), mean, dtype=torch.float64)
    patch = GaussianPatch(patch_size=112).patches(images, list("abcd"))
    clipped = float(((patch == 0) | (patch == 1)).double().mean())
    deviation = (share * (1 - share) / patch.numel()) ** 0.5
    assert clipped == pytest.approx(share, abs=4 * deviation + 1e-3)


@pytest.mark.parametrize("grey", [0, 100, 255])
def test_the_wrapped_patch_is_uniform_noise_whatever_the_image(grey: int) -> None:
    images = torch.full((8, 3, 64, 64), grey, dtype=torch.uint8)
    patch = WrappedGaussian(patch_size=224).patches(images, [str(key) for key in range(8)])
    counts = torch.bincount((patch * 255).round().long().flatten(), minlength=256).double()
    # dropping the fraction sends both sides of zero to level 0, which is therefore more frequent
    rest = counts[1:]
    assert float(((rest - rest.mean()) ** 2 / rest.mean()).sum()) < chi2.ppf(0.9999, 254)
    expected = 1 / 256 + norm.pdf(grey / 255) / 255
    deviation = (expected / patch.numel()) ** 0.5
    assert float(counts[0] / patch.numel()) == pytest.approx(expected, abs=4 * deviation)


@pytest.mark.parametrize("kind", [GaussianPatch, WrappedGaussian])
def test_noise_is_redrawn_for_every_key_and_seed(kind: type[GaussianPatch]) -> None:
    images = torch.full((2, 3, 64, 64), 0.5)
    first, second = kind(seed=1).patches(images, ["a", "b"])
    assert not torch.equal(first, second)
    assert torch.equal(kind(seed=1).patches(images, ["b", "a"])[1], first)
    assert not torch.equal(kind(seed=2).patches(images, ["a", "b"])[0], first)


@pytest.mark.parametrize(("height", "width"), [(224, 224), (5, 7), (1, 1), (3, 3000)])
def test_the_mean_is_exact_in_any_type_order_and_batch(height: int, width: int) -> None:
    levels = levels_of(5, height, width, seed=2)
    exact = levels.astype(np.int64).sum(axis=(2, 3)) / (255 * height * width)
    images = torch.from_numpy(levels).float() / 255
    forms: list[Tensor] = [
        torch.from_numpy(levels),
        images,
        torch.from_numpy(levels).double() / 255,
        images.contiguous(memory_format=torch.channels_last),
        images.flip(-1),
        images.transpose(-1, -2) if height == width else images,
    ]
    for form in forms:
        assert np.array_equal(channel_mean(form).numpy(), exact)
    assert np.array_equal(torch.cat([channel_mean(image[None]) for image in images]).numpy(), exact)


def test_the_mean_of_pixels_between_levels_is_close_enough() -> None:
    images = torch.rand(4, 3, 40, 40, dtype=torch.float64)
    assert float((channel_mean(images) - images.mean((-1, -2))).abs().max()) < 1 / (510 * 40)


def test_gradients_flow_through_the_mean_where_the_patch_is_not_clipped() -> None:
    images = torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64, requires_grad=True)
    trigger = GaussianPatch(patch_size=112)
    trigger(images, ["k"]).sum().backward()
    top, left = trigger.corner("k", 16, 16)
    noise = documented_noise("badnets-gaussian", 0, "k", 8)
    inside = ((0.5 + noise > 0) & (0.5 + noise < 1)).sum(axis=(1, 2))
    expected = np.ones((3, 16, 16))
    expected[:, top : top + 8, left : left + 8] = 0
    expected += (inside / 256)[:, None, None]
    assert images.grad is not None
    np.testing.assert_allclose(images.grad[0].numpy(), expected)


def test_no_gradient_passes_the_wrapped_patch() -> None:
    images = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    trigger = WrappedGaussian(patch_size=112)
    trigger(images, ["k"]).sum().backward()
    top, left = trigger.corner("k", 16, 16)
    expected = torch.ones(1, 3, 16, 16)
    expected[..., top : top + 8, left : left + 8] = 0
    assert images.grad is not None
    assert torch.equal(images.grad, expected)
